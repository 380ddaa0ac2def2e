// Files that are dropped: over the thread they are taken; beside it the browser would open them in place of
// the page.

import { part } from "./dom.js";

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

export function takeDrops({ isTaken, took }) {
  const place = part("thread");
  let depth = 0;
  const isFiles = (event) => isTaken() && hasFiles(event);
  place.addEventListener("dragenter", (event) => {
    if (!isFiles(event)) return;
    depth += 1;
    part("drop").hidden = false;
  });
  place.addEventListener("dragover", (event) => isFiles(event) && event.preventDefault());
  place.addEventListener("dragleave", (event) => {
    if (isFiles(event) && (depth -= 1) <= 0) part("drop").hidden = true;
  });
  place.addEventListener("drop", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    depth = 0;
    part("drop").hidden = true;
    took(event.dataTransfer.files);
  });
  addEventListener("dragover", (event) => {
    if (event.defaultPrevented || !hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
  addEventListener("drop", (event) => hasFiles(event) && event.preventDefault());
}
