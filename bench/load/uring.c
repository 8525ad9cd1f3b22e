#include "uring.h"
#include "common.h"

#include <linux/io_uring.h>

#ifdef IORING_SETUP_DEFER_TASKRUN /* headers of Linux 6.1, which has all that is needed */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLACES 256 /* for what arrives; a power of 2 */
#define DISTANCE (PIECE + 17 * 64) /* from one to the next: no power of 2, at which caches collide */
#define SENDING (1u << 31)

static struct {
    int fd;
    unsigned int entries, *tail, prepared, submitted; /* what is to be done */
    struct io_uring_sqe *todo;
    unsigned int results, *head, *end, taken; /* what was done */
    struct io_uring_cqe *done;
    struct io_uring_buf_ring *places;
    unsigned char *memory;
    uint16_t offered;
} ring;

static void *map(size_t length, int fd, off_t offset)
{
    int flags = fd < 0 ? MAP_ANONYMOUS | MAP_PRIVATE : MAP_SHARED | MAP_POPULATE;
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, offset);
    if (memory == MAP_FAILED)
        fail("mmap");
    return memory;
}

static void map_rings(const struct io_uring_params *made)
{
    size_t results = made->cq_off.cqes + made->cq_entries * sizeof *ring.done;
    size_t order = made->sq_off.array + made->sq_entries * sizeof(unsigned int);
    char *both = map(results > order ? results : order, ring.fd, IORING_OFF_SQ_RING);
    unsigned int *places = (unsigned int *)(both + made->sq_off.array);

    ring.entries = made->sq_entries;
    ring.results = made->cq_entries;
    ring.tail = (unsigned int *)(both + made->sq_off.tail);
    ring.head = (unsigned int *)(both + made->cq_off.head);
    ring.end = (unsigned int *)(both + made->cq_off.tail);
    ring.done = (struct io_uring_cqe *)(both + made->cq_off.cqes);
    ring.todo = map(ring.entries * sizeof *ring.todo, ring.fd, IORING_OFF_SQES);
    for (unsigned int i = 0; i < ring.entries; i++)
        places[i] = i;
}

static void offer(uint16_t place)
{
    struct io_uring_buf *next = &ring.places->bufs[ring.offered++ % PLACES];
    next->addr = (uint64_t)(uintptr_t)(ring.memory + place * DISTANCE);
    next->len = PIECE;
    next->bid = place;
}

static int offer_places(void)
{
    struct io_uring_buf_reg places = {.ring_entries = PLACES};
    ring.places = map(PLACES * sizeof(struct io_uring_buf), -1, 0);
    ring.memory = map(PLACES * DISTANCE, -1, 0);
    places.ring_addr = (uint64_t)(uintptr_t)ring.places;
    if (syscall(__NR_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &places, 1) < 0)
        return 0;
    for (uint16_t place = 0; place < PLACES; place++)
        offer(place);
    __atomic_store_n(&ring.places->tail, ring.offered, __ATOMIC_RELEASE);
    return 1;
}

/* Each client has at most a message and a receiver to be begun in a round. */
int uring_open(int clients)
{
    struct io_uring_params made = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CLAMP,
    };
    ring.fd = (int)syscall(__NR_io_uring_setup, 2 * clients, &made);
    if (ring.fd < 0)
        return 0;
    if (made.sq_entries < 2 * (unsigned int)clients || !(made.features & IORING_FEAT_SINGLE_MMAP)) {
        close(ring.fd);
        return 0;
    }
    map_rings(&made);
    return offer_places();
}

static struct io_uring_sqe *entry(uint8_t operation, int fd, uint64_t number)
{
    struct io_uring_sqe *entry = &ring.todo[ring.prepared++ % ring.entries];
    memset(entry, 0, sizeof *entry);
    entry->opcode = operation;
    entry->fd = fd;
    entry->user_data = number;
    return entry;
}

void uring_receive(uint32_t client, int fd)
{
    struct io_uring_sqe *receiver = entry(IORING_OP_RECV, fd, client);
    receiver->flags = IOSQE_BUFFER_SELECT;
    receiver->ioprio = IORING_RECV_MULTISHOT;
}

/* MSG_WAITALL goes on after a part. Of what is sent there is a result only if it fails. */
void uring_send(uint32_t client, int fd, const void *data, size_t length)
{
    struct io_uring_sqe *message = entry(IORING_OP_SEND, fd, SENDING | client);
    message->flags = IOSQE_CQE_SKIP_SUCCESS;
    message->addr = (uint64_t)(uintptr_t)data;
    message->len = (uint32_t)length;
    message->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
}

void uring_round(void)
{
    __atomic_store_n(ring.head, ring.taken, __ATOMIC_RELEASE);
    __atomic_store_n(&ring.places->tail, ring.offered, __ATOMIC_RELEASE);
    __atomic_store_n(ring.tail, ring.prepared, __ATOMIC_RELEASE);
    unsigned int count = ring.prepared - ring.submitted;
    long begun = syscall(__NR_io_uring_enter, ring.fd, count, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    if (begun < 0)
        fail("io_uring_enter");
    ring.submitted += (unsigned int)begun;
}

/* Where it lies is offered again with the next round, when it has been looked at. */
int uring_take(struct arrival *arrival)
{
    if (ring.taken == __atomic_load_n(ring.end, __ATOMIC_ACQUIRE))
        return 0;
    const struct io_uring_cqe *done = &ring.done[ring.taken++ % ring.results];
    if (done->user_data & SENDING) {
        errno = -done->res;
        fail("send");
    }
    arrival->client = (uint32_t)done->user_data;
    arrival->result = done->res;
    arrival->is_last = !(done->flags & IORING_CQE_F_MORE);
    arrival->data = NULL;
    if (done->flags & IORING_CQE_F_BUFFER) {
        uint16_t place = (uint16_t)(done->flags >> IORING_CQE_BUFFER_SHIFT);
        arrival->data = ring.memory + place * DISTANCE;
        offer(place);
    }
    return 1;
}

#else

int uring_open(int clients)
{
    (void)clients;
    return 0;
}

#endif
