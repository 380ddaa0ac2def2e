// One part's source in CodeMirror: Jinja over HTML or text, errors at their place, completions from the data.

import {
  EditorState, EditorView, HighlightStyle, autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap,
  closePercentBrace, completionKeymap, defaultKeymap, drawSelection, dropCursor, foldGutter, foldKeymap,
  highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, highlightSelectionMatches, history,
  historyKeymap, html, htmlCompletionSource, indentOnInput, indentUnit, jinja, json, keymap, lineNumbers, lintGutter,
  lintKeymap, placeholder, search, searchKeymap, setDiagnostics, syntaxHighlighting, tags,
} from "../vendor/codemirror.js";

const looks = HighlightStyle.define([
  { tag: [tags.tagName, tags.keyword, tags.controlKeyword, tags.operatorKeyword], color: "var(--ed-keyword)" },
  { tag: [tags.attributeName, tags.propertyName], color: "var(--ed-name)" },
  { tag: [tags.string, tags.attributeValue], color: "var(--ed-string)" },
  { tag: [tags.variableName, tags.special(tags.variableName)], color: "var(--ed-variable)" },
  { tag: [tags.number, tags.bool, tags.null, tags.literal], color: "var(--ed-number)" },
  { tag: [tags.comment, tags.docComment], color: "var(--comms-soft)", fontStyle: "italic" },
  { tag: [tags.brace, tags.separator, tags.angleBracket, tags.punctuation], color: "var(--comms-soft)" },
]);

const MJML_TAGS = Object.fromEntries(
  ["mjml", "mj-head", "mj-body", "mj-section", "mj-column", "mj-group", "mj-wrapper", "mj-hero", "mj-text", "mj-button",
    "mj-image", "mj-divider", "mj-spacer", "mj-social", "mj-social-element", "mj-navbar", "mj-navbar-link", "mj-table",
    "mj-raw", "mj-style", "mj-attributes", "mj-all", "mj-class", "mj-font", "mj-title", "mj-preview", "mj-breakpoint",
    "mj-accordion", "mj-accordion-element", "mj-accordion-title", "mj-accordion-text", "mj-carousel",
    "mj-carousel-image"].map((name) => [name, {}]));

const LANGUAGES = {
  html: () => jinja({ base: html() }),
  mjml: () => jinja({ base: html({ extraTags: MJML_TAGS, selfClosingTags: true }) }),
  text: () => jinja(),
  json: () => json(),
};

export class Source {
  // `complete` is a completion source of CodeMirror's; `state` what `leave` of an earlier one gave.
  constructor({ parent, label, describedBy, value, language, isOneLine, isFixed, hint, changed, focused, complete, state }) {
    this.changed = changed;
    const extensions = [
      LANGUAGES[language](),
      ...(isOneLine ? oneLine : manyLines),
      ...(language === "json" ? [] : [closePercentBrace]),
      highlightSpecialChars(),
      history(),
      drawSelection(),
      dropCursor(),
      bracketMatching(),
      closeBrackets(),
      highlightSelectionMatches(),
      search({ top: true }),
      syntaxHighlighting(looks),
      indentUnit.of("  "),
      EditorView.lineWrapping,
      EditorState.readOnly.of(isFixed),
      EditorView.editable.of(!isFixed),
      EditorView.contentAttributes.of({
        "aria-label": label,
        spellcheck: language === "text" ? "true" : "false",
        autocapitalize: "off",
        ...(describedBy ? { "aria-describedby": describedBy } : {}),
      }),
      hint ? placeholder(hint) : [],
      autocompletion({
        icons: false,
        override: complete ? [complete, ...(language === "text" || language === "json" ? [] : [outsideOfTags])] : [],
      }),
      keymap.of([
        ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap,
        ...lintKeymap,
      ]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) this.changed?.(this.value);
        if (update.focusChanged && update.view.hasFocus) focused?.(this);
      }),
    ];
    const fresh = EditorState.create({ doc: value, extensions });
    const isUsable = state && state.doc.toString() === value;
    this.view = new EditorView({
      parent,
      state: isUsable ? EditorState.create({ doc: value, extensions, selection: state.selection }) : fresh,
    });
  }

  get value() {
    return this.view.state.doc.toString();
  }

  set value(text) {
    if (text === this.value) return;
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }

  insert(text) {
    const { main } = this.view.state.selection;
    const cursor = text.indexOf("\0");
    const insert = text.replace("\0", "");
    this.view.dispatch({
      changes: { from: main.from, to: main.to, insert },
      selection: { anchor: main.from + (cursor < 0 ? insert.length : cursor) },
      scrollIntoView: true,
      userEvent: "input",
    });
    this.view.focus();
  }

  // [{line, column, message, severity}], lines and columns from 1.
  mark(problems) {
    const { doc } = this.view.state;
    const found = problems.map(({ line, column, message, severity }) => {
      const row = doc.line(Math.min(Math.max(line, 1), doc.lines));
      const from = Math.min(row.from + Math.max(column - 1, 0), row.to);
      const rest = row.text.slice(from - row.from);
      const tag = rest.match(/^(\{\{.*?\}\}|\{%.*?%\}|<[^>]*>|\w+|.)/);
      return { from, to: from + (tag ? tag[0].length : 0), message, severity };
    });
    this.view.dispatch(setDiagnostics(this.view.state, found.sort((a, b) => a.from - b.from)));
  }

  focus(line = 0, column = 1) {
    if (line) {
      const row = this.view.state.doc.line(Math.min(line, this.view.state.doc.lines));
      const anchor = Math.min(row.from + column - 1, row.to);
      this.view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    }
    this.view.focus();
  }

  leave() {
    const { state } = this.view;
    this.view.destroy();
    return state;
  }
}

const oneLine = [
  EditorView.clipboardInputFilter.of((text) => text.replace(/\s*[\r\n]+\s*/g, " ")),
  keymap.of([{ key: "Enter", run: () => true }]),
  EditorState.transactionFilter.of((change) => (change.newDoc.lines > 1 ? [] : change)),
];

const manyLines = [
  lineNumbers(), foldGutter(), lintGutter(), highlightActiveLine(), highlightActiveLineGutter(), indentOnInput(),
];

function outsideOfTags(context) {
  return insideOfTag(context) ? null : htmlCompletionSource(context);
}

// What stands between the last opening brace and the cursor, null outside of a tag.
export function insideOfTag(context) {
  const before = context.state.sliceDoc(Math.max(0, context.pos - 500), context.pos);
  const found = before.match(/\{([{%])((?:(?![}%]\}).)*)$/s);
  return found ? { isStatement: found[1] === "%", text: found[2] } : null;
}
