// Making elements. Texts only ever become text nodes, so nothing that people write can become HTML.

export const $ = (id) => document.getElementById(id);

/** An element with properties, classes and children: el("p", {className: "note"}, "text", child). */
export function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

/** A coloured circle with the name's first letter; the same name always has the same colour. */
export function avatar(name) {
  const circle = el("span", { className: "avatar", ariaHidden: "true" }, [...name][0].toUpperCase());
  let hash = 0;
  for (const character of name.toLowerCase()) hash = (hash * 31 + character.codePointAt(0)) % 3600;
  circle.style.setProperty("--hue", hash / 10);
  return circle;
}

/** The text with its addresses as links. */
export function withLinks(text) {
  return text.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]'])/).map((part, index) =>
    index % 2 ? el("a", { href: part, target: "_blank", rel: "noopener noreferrer nofollow" }, part) : part,
  );
}

const hour = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function clock(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const text = today ? hour.format(date) : `${day.format(date)}, ${hour.format(date)}`;
  return el("time", { dateTime: date.toISOString() }, text);
}
