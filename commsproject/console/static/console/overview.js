// The home page follows what happens.

const EVERY = 5000;
const place = document.getElementById("overview");

for (;;) {
  await new Promise((resume) => setTimeout(resume, EVERY));
  if (document.hidden || place.matches(":focus-within, :hover:active")) continue;
  try {
    const answer = await fetch(place.dataset.look);
    if (answer.ok && !answer.redirected) {
      const text = await answer.text();
      place.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.children);
    }
  } catch {
    // the next turn may find the server again
  }
}
