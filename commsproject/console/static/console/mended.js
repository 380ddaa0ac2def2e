// Django's two-sided lists name their marks for screen readers without saying what these are.
addEventListener("load", () =>
  setTimeout(() => {
    for (const mark of document.querySelectorAll("span.help-tooltip[aria-label]")) mark.setAttribute("role", "img");
  }),
);
