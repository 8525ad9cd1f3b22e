// Creates elements of the document. Content is always inserted as text, never as HTML.

/**
 * Return a new HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} content
 */
function element(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

/**
 * Return a new SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} content
 */
function drawing(tag, attributes = {}, ...content) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(made, attributes);
  made.append(...content);
  return made;
}

/**
 * Set the attributes of an element that differ.
 * @param {Element} target
 * @param {Record<string, string | number>} attributes
 */
function set(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (target.getAttribute(name) !== text) target.setAttribute(name, text);
  }
}

/**
 * Set the text of an element if it differs.
 * @param {Element} target
 * @param {string} text
 */
function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Return the element with an id.
 * @param {string} id
 */
function byId(id) {
  return partById(id, HTMLElement);
}

/**
 * Return the element with an id; it must be of a class.
 * @template {HTMLElement} Part
 * @param {string} id
 * @param {new () => Part} sort  the class
 */
function partById(id, sort) {
  const found = document.getElementById(id);
  if (found instanceof sort) return found;
  throw new TypeError(`the document has no ${sort.name} with the id ${id}`);
}
