// The page of a batch follows it while it moves.

const EVERY = 2000;
const place = document.querySelector("[data-look]");

if (place) follow();

async function follow() {
  for (;;) {
    await new Promise((resume) => setTimeout(resume, EVERY));
    if (document.hidden) continue;
    try {
      const answer = await fetch(place.dataset.look);
      if (!answer.ok || answer.redirected) continue;
      const text = await answer.text();
      const found = new DOMParser().parseFromString(text, "text/html").querySelector("[data-standing]");
      const shown = place.querySelector("[data-standing]");
      if (found.dataset.standing !== shown.dataset.standing) return location.reload(); // other buttons
      shown.replaceWith(found);
    } catch {
      // the next turn may find the server again
    }
  }
}
