// Going to another page says that it goes on, once it takes longer than a blink. A download leaves
// the page where it is: what leads to one is marked. So does who is asked and stays; the next touch
// or key tells.
{
  const BLINK = 300;
  const bar = Object.assign(document.createElement("div"), { className: "comms-going", role: "progressbar", ariaLabel: "Loading" });
  let timer;
  let isDownload = false;

  const mark = (event) => (isDownload = Boolean(event.target.closest?.("[download], [data-download]")));
  const rest = () => {
    clearTimeout(timer);
    bar.remove();
  };
  for (const type of ["click", "submit"]) addEventListener(type, mark, true);
  for (const type of ["pageshow", "pointerdown", "keydown"]) addEventListener(type, rest, true);
  addEventListener("beforeunload", () => {
    if (!isDownload) timer = setTimeout(() => document.body.append(bar), BLINK);
  });
}
