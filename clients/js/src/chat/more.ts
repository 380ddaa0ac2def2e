/**
 * What can wait until somebody turns to the widget: files, what is done with a message, what is seldom
 * told. A module of its own, which the widget loads then.
 */

import { Files, type Desk } from "./files.js";
import english from "../words/more.en.json";
import styles from "./more.css";
import { Actions } from "./toolbar.js";

export { english };

export interface More extends Actions {
  files: Files;
}

const sheet = new CSSStyleSheet();
sheet.replaceSync(styles);

export function more(desk: Desk): More {
  const { adoptedStyleSheets } = desk.root;
  if (!adoptedStyleSheets.includes(sheet)) adoptedStyleSheets.push(sheet);
  return Object.assign(new Actions(desk), { files: new Files(desk) });
}
