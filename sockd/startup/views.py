"""The stats endpoint, the admin shell and the capture, where the configuration asks for them.

Each is imported only then: conch, twisted.web and their dependencies make a start slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sockd.process.privileges import future_owner
from sockd.process.state import CAPTURES, StateDirectory
from sockd.startup.banner import BannerLines, admin_lines, daemon_lines, stats_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from twisted.application.service import IService

    from sockd.config.specs import AdminSpec, CaptureSpec, Configuration, StatsSpec
    from sockd.daemon import Daemon
    from sockd.process.startup_stderr import StartupStderr
    from sockd.reactor import IReactor


@dataclass(frozen=True, slots=True)
class ViewMaker:
    """Makes what shows a daemon to people.

    :ivar twistd: twistd's own options.
    :ivar terminal: where the first password is shown.
    """

    configuration: Configuration
    daemon: Daemon
    reactor: IReactor
    twistd: Mapping[str, Any]
    terminal: StartupStderr

    def make(self) -> tuple[list[IService], list[BannerLines]]:
        """Return the views, and the lines that the banner has about them."""
        views: list[IService] = []
        lines: list[BannerLines] = [partial(daemon_lines, self.daemon)]
        if self.configuration.stats is not None:
            self._add_stats(self.configuration.stats, views, lines)
        if self.configuration.admin is not None:
            self._add_admin(self.configuration.admin, views, lines)
        if self.configuration.capture is not None:
            self._add_capture(self.configuration.capture, views)
        return views, lines

    def _add_stats(self, spec: StatsSpec, views: list[IService], lines: list[BannerLines]) -> None:
        from sockd.stats.service import StatsService

        stats = StatsService(spec, self.daemon, self.reactor)
        views.append(stats)
        lines.append(partial(stats_lines, stats))

    def _add_admin(self, spec: AdminSpec, views: list[IService], lines: list[BannerLines]) -> None:
        from sockd.admin.service import AdminService

        owner = future_owner(self.twistd.get("uid"), self.twistd.get("gid"))
        configuration = self.configuration
        state = StateDirectory(configuration.state, configuration.state_location, owner)
        admin = AdminService(spec, self.daemon, self.reactor, state, self.terminal)
        views.append(admin)
        lines.append(partial(admin_lines, admin))

    def _add_capture(self, spec: CaptureSpec, views: list[IService]) -> None:
        from sockd.capture.recorder import Recorder
        from sockd.capture.service import CaptureService

        directory = spec.directory or StateDirectory(self.configuration.state).path / CAPTURES
        recorder = Recorder(directory, spec, self.reactor.seconds)
        capture = CaptureService(spec, self.daemon.ledger, recorder, self.reactor)
        self.daemon.capture = capture
        views.append(capture)
