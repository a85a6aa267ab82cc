// Files: read to be sent, made into links and pictures when they come.

// What is shown in the page must not be able to run anything in it, so no SVG.
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);

/** What an entry needs to show a file: a URL of its bytes, and whether that is a picture. */
export function preview(data, type) {
  const picture = PICTURES.has(type);
  const blob = new Blob([data], { type: picture ? type : "application/octet-stream" });
  return { url: URL.createObjectURL(blob), picture };
}

/** A size in words: 870 bytes, 12 kB. */
export function sizeInWords(bytes) {
  return bytes < 1000 ? `${bytes} bytes` : `${Math.round(bytes / 1000)} kB`;
}

/** Call back with every file that is chosen, dropped on the target, or pasted into the text. */
export function collectFiles({ input, target, text }, callback) {
  input.addEventListener("change", () => {
    for (const file of input.files) callback(file);
    input.value = "";
  });
  text.addEventListener("paste", (event) => {
    for (const file of event.clipboardData.files) callback(file);
    if (event.clipboardData.files.length) event.preventDefault();
  });
  target.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    target.classList.add("dropping");
  });
  target.addEventListener("dragleave", () => target.classList.remove("dropping"));
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    target.classList.remove("dropping");
    for (const file of event.dataTransfer.files) callback(file);
  });
}
