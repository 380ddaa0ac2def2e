/** Text with marks, as nodes. The service makes it safe; what it may hold is checked here again. */

const ALLOWED = new Set(["P", "BR", "STRONG", "EM", "S", "CODE", "PRE", "BLOCKQUOTE", "UL", "OL", "LI", "A", "MARK"]);

export function nodes(html: string): DocumentFragment {
  const parsed = new DOMParser().parseFromString(html, "text/html"); // runs and loads nothing
  return copied(parsed.body);
}

function copied(parent: Node): DocumentFragment {
  const fragment = document.createDocumentFragment();
  for (const node of parent.childNodes) {
    if (node instanceof Element && ALLOWED.has(node.tagName)) fragment.append(element(node));
    else fragment.append(node.textContent ?? "");
  }
  return fragment;
}

function element(from: Element): HTMLElement {
  const made = document.createElement(from.tagName);
  const link = from.getAttribute("href") ?? "";
  if (made instanceof HTMLAnchorElement && /^(https?:|mailto:)/i.test(link)) {
    made.href = link;
    made.target = "_blank";
    made.rel = "noopener noreferrer nofollow";
  }
  made.append(copied(from));
  return made;
}

/** Only what a page may lead to: no script, no file. */
export function safeLink(link: string): string | undefined {
  try {
    const url = new URL(link, document.baseURI);
    return ["http:", "https:", "mailto:", "tel:"].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}
