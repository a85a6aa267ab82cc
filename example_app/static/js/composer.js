// The field in which messages are written: grows with its text, sends on Enter, tells that somebody is typing.

import { $ } from "./dom.js";

const TYPING_EVERY = 2000; // say it again after this time; the others forget it after a little longer

/** Calls back with `onText(text)` and `onTyping(active)`. Gives a function that ends the typing. */
export function setUpComposer({ onText, onTyping }) {
  const field = $("text");
  let told = 0; // when "typing" was last told, or 0

  const refresh = () => {
    $("send").disabled = !field.value.trim();
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  };
  const stopTyping = () => {
    if (told) onTyping(false);
    told = 0;
  };

  field.addEventListener("input", () => {
    refresh();
    if (!field.value.trim()) return stopTyping();
    if (Date.now() - told < TYPING_EVERY) return;
    told = Date.now();
    onTyping(true);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("composer").requestSubmit();
  });
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    refresh();
    stopTyping();
    onText(text);
  });
  $("attach").addEventListener("click", () => $("file").click());
  return stopTyping;
}
