/**
 * What can wait until the first messages are there: files, and what is done with a message. A module of
 * its own, which the widget loads then.
 */

import { Files, type Desk } from "./files.js";
import styles from "./more.css";
import { toolbar } from "./toolbar.js";

export interface More {
  files: Files;
  toolbar: typeof toolbar;
}

const sheet = new CSSStyleSheet();
sheet.replaceSync(styles);

export function more(desk: Desk): More {
  const { adoptedStyleSheets } = desk.root;
  if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
  return { files: new Files(desk), toolbar };
}
