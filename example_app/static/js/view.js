// The page: draws what it is told, and knows nothing of the connection.

import { $, avatar, clock, el, icon, withLinks } from "./dom.js";
import { sizeInWords } from "./files.js";

const GROUP_WITHIN = 5 * 60_000; // messages of one person within this time share a head
const STATES = { waiting: "Waiting to be sent", sent: "Sent", failed: "Not sent" };

// ---------------------------------------------------------------- coming in

export function showWelcome(name, error = "") {
  $("chat").hidden = true;
  $("welcome").hidden = false;
  $("name").value = name;
  showEnterError(error);
  $("name").focus();
}

export function showEnterError(error) {
  $("enter-error").textContent = error;
  $("name").setAttribute("aria-invalid", String(Boolean(error)));
}

export function showChat(name) {
  $("welcome").hidden = true;
  $("chat").hidden = false;
  $("my-name").textContent = name;
  $("my-avatar").replaceChildren(avatar(name));
}

// ---------------------------------------------------------------- the connection

let backTimer = 0;

/** The state of the connection: {phase, attempt, transport}, and how many messages wait for it. */
export function showState({ phase, attempt, transport }, waiting) {
  $("status").dataset.state = phase;
  $("status-text").textContent = phase === "online" ? transport : phase;
  $("attach").disabled = phase !== "online";
  const queued = waiting ? ` ${plural(waiting, "message")} will be sent then.` : "";
  if (phase === "closed") showBanner("closed", "The server has closed the connection.");
  else if (phase === "reconnecting") showBanner(phase, reconnectingText(attempt) + queued);
  else if (phase === "online" && ["reconnecting", "closed"].includes($("banner").dataset.state)) {
    showBanner("back", "Back online");
    backTimer = setTimeout(hideBanner, 3000);
  }
}

function reconnectingText(attempt) {
  const what = navigator.onLine ? "The connection is lost." : "You are offline.";
  return attempt ? `${what} Reconnecting (attempt ${attempt})…` : `${what} Reconnecting…`;
}

function showBanner(state, text) {
  clearTimeout(backTimer);
  $("banner").hidden = false;
  $("banner").dataset.state = state;
  $("banner-text").textContent = text;
  $("reconnect").hidden = state !== "closed";
}

function hideBanner() {
  $("banner").hidden = true;
  $("banner").dataset.state = "";
}

// ---------------------------------------------------------------- rooms and people

/** The rooms as [{name, members}], with what the page knows of each: {entered, unread}. */
export function showRooms(rooms, current, onChoose) {
  const items = rooms.map(({ name, members, entered, unread }) =>
    conversationItem(
      {
        name,
        mark: el("span", { className: "hash", ariaHidden: "true" }, "#"),
        active: current.kind === "room" && current.name === name,
        badge: unread ? badge(unread) : members ? el("span", { className: "count" }, String(members)) : null,
        quiet: !entered,
      },
      onChoose,
    ),
  );
  replaceItems($("rooms"), items);
}

export function showPrivates(conversations, current, onChoose) {
  $("private-nav").hidden = conversations.length === 0;
  const items = conversations.map(({ name, unread }) =>
    conversationItem(
      {
        name,
        mark: avatar(name),
        active: current.kind === "private" && current.name === name,
        badge: unread ? badge(unread) : null,
      },
      onChoose,
    ),
  );
  replaceItems($("privates"), items);
}

function conversationItem({ name, mark, active, badge, quiet = false }, onChoose) {
  const label = el("span", { className: "name" }, name);
  const button = el("button", { type: "button", onclick: () => onChoose(name) }, mark, label, badge);
  button.classList.toggle("quiet-item", quiet);
  if (active) button.setAttribute("aria-current", "true");
  return el("li", {}, button);
}

function badge(unread) {
  return el("span", { className: "badge", ariaLabel: `${unread} unread` }, String(unread));
}

export function showMembers(names, me, onChoose) {
  const items = names.map((name) => {
    if (name === me) return el("li", {}, el("span", { className: "self" }, avatar(name), named(name), small("you")));
    const title = `Write to ${name} privately`;
    return el("li", {}, el("button", { type: "button", title, onclick: () => onChoose(name) }, avatar(name), named(name)));
  });
  replaceItems($("members"), items);
}

// The keyboard's focus stays on the item that it was on.
function replaceItems(list, items) {
  const focused = list.contains(document.activeElement) ? document.activeElement.textContent : null;
  list.replaceChildren(...items);
  if (focused === null) return;
  [...list.querySelectorAll("button")].find(({ textContent }) => textContent === focused)?.focus();
}

const named = (name) => el("span", { className: "name" }, name);
const small = (text) => el("small", {}, text);

export function showTyping(names) {
  const dots = el("span", { className: "dots", ariaHidden: "true" }, el("i"), el("i"), el("i"));
  const verb = names.length === 1 ? "is" : "are";
  const who = names.length > 3 ? "Several people" : new Intl.ListFormat("en").format(names);
  $("typing").replaceChildren(...(names.length ? [dots, `${who} ${verb} typing…`] : []));
}

// ---------------------------------------------------------------- the conversation

/** Bring a conversation to the front. `canLeave` says whether its leave button is shown. */
export function showConversation(conversation, canLeave) {
  const room = conversation.kind === "room";
  $("chat").dataset.kind = conversation.kind;
  $("title").textContent = room ? `#${conversation.name}` : conversation.name;
  $("subtitle").textContent = room
    ? `${plural(conversation.members.length, "person", "people")} here`
    : "Private, and kept nowhere";
  $("leave-room").hidden = !(room && canLeave);
  $("text").placeholder = room ? `Message #${conversation.name}` : `Message ${conversation.name}`;
  const own = logOf(conversation);
  for (const log of $("logs").children) log.hidden = log !== own;
}

export function scrollToEnd(conversation) {
  const log = logOf(conversation);
  log.scrollTop = log.scrollHeight;
}

/** Draw an entry that has got this index in its conversation; move it there where it is drawn already. */
export function drawEntry(conversation, index) {
  const log = logOf(conversation);
  const entry = conversation.entries[index];
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const element = (entry.element ??= el("li", {}));
  fillEntry(entry);
  const next = conversation.entries[index + 1]?.element ?? null;
  const isNew = element.parentNode !== log;
  const moved = !isNew && element.nextSibling !== next;
  if (isNew || moved) log.insertBefore(element, next);
  conversation.entries.forEach((each, i, all) => {
    if (moved || i === index || i === index + 1) markGroup(all[i - 1], each);
  });
  if (!atEnd && entry.state !== "waiting") return;
  scrollToEnd(conversation);
  element.querySelector("img")?.addEventListener("load", () => scrollToEnd(conversation));
}

function logOf(conversation) {
  if (!conversation.log) {
    const label = conversation.kind === "room" ? `Messages in ${conversation.name}` : `Messages with ${conversation.name}`;
    conversation.log = el("ol", { className: "log", role: "log", ariaLabel: label, tabIndex: 0, hidden: true });
    $("logs").append(conversation.log);
  }
  return conversation.log;
}

function fillEntry(entry) {
  const { element } = entry;
  element.className = ["entry", entry.kind, entry.mine ? "mine" : ""].join(" ").trim();
  element.dataset.state = entry.state ?? "";
  if (entry.kind === "note") return element.replaceChildren(entry.text);
  const head = el("p", { className: "head" }, el("strong", {}, entry.mine ? "You" : entry.author), " ", clock(entry.at));
  const line = el("div", { className: "line" }, bubble(entry), entry.state ? stateMark(entry) : null);
  const body = el("div", { className: "body" }, head, line);
  if (entry.error) body.append(el("p", { className: "error" }, entry.error));
  element.replaceChildren(...(entry.mine ? [body] : [avatar(entry.author), body]));
}

function markGroup(before, entry) {
  if (!entry?.element) return;
  const grouped =
    before?.author === entry.author && before.kind !== "note" && Math.abs(entry.at - before.at) < GROUP_WITHIN;
  entry.element.classList.toggle("grouped", grouped);
}

function stateMark({ state }) {
  return el("span", { className: "mark", role: "img", ariaLabel: STATES[state], title: STATES[state] });
}

function bubble(entry) {
  if (entry.kind === "text") return el("div", { className: "bubble" }, ...withLinks(entry.text));
  if (entry.picture) return el("a", pictureLink(entry), el("img", { src: entry.url, alt: entry.text }), caption(entry));
  if (entry.url) return el("a", fileLink(entry), icon("file"), fileText(entry, sizeInWords(entry.size)));
  const gone = `${sizeInWords(entry.size)}, sent earlier and not kept`;
  return el("div", { className: "bubble attachment gone" }, icon("file"), fileText(entry, gone));
}

const pictureLink = ({ url, text }) => ({ className: "bubble picture", href: url, download: text, title: "Download" });
const fileLink = ({ url, text }) => ({ className: "bubble attachment", href: url, download: text, title: "Download" });
const caption = ({ text, size }) => el("span", { className: "caption" }, el("b", {}, text), small(sizeInWords(size)));
const fileText = ({ text }, detail) => el("span", { className: "file-text" }, el("b", {}, text), small(detail));

// ---------------------------------------------------------------- drawers, for narrow windows

export function setUpDrawers() {
  let opener = null;
  const toggle = (name) => {
    if (name) $("chat").dataset.drawer = name;
    else delete $("chat").dataset.drawer;
    $("shade").hidden = !name;
    for (const button of document.querySelectorAll("[data-open]")) {
      button.setAttribute("aria-expanded", String(button.dataset.open === name));
    }
  };
  const close = () => {
    if (!$("chat").dataset.drawer) return;
    toggle(null);
    opener?.focus();
  };
  for (const button of document.querySelectorAll("[data-open]")) {
    button.addEventListener("click", () => {
      opener = button;
      toggle(button.dataset.open);
      $(button.dataset.open).querySelector("[data-close]").focus();
    });
  }
  for (const element of document.querySelectorAll("[data-close]")) element.addEventListener("click", close);
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  return close;
}

function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}
