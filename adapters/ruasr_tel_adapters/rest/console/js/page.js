// Building blocks of every view: elements, requests, event streams, timers, lists.

import { t } from "./text.js";

/**
 * Return a new element. Children are nodes or texts: nothing is ever read as HTML.
 * Functions become listeners (onclick), true an empty attribute; false, null and undefined none.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Return what the server answers; throw an Error with its own words for people. */
export async function api(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    throw new Error(t("offline"), { cause: error });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  return body;
}

const RETRY_MS = 3000;

/**
 * Follow server-sent events to their end; return what stops it. Browsers come back by themselves
 * after a broken connection, but not after an answer such as 503: then we do.
 *
 * @param handlers by kind of event, each takes its data; `open` is called at every connection.
 */
export function follow(path, { open = () => {}, ...handlers }) {
  let source, timer;
  function connect() {
    source = new EventSource(path);
    source.onopen = open;
    source.addEventListener("end", () => source.close());
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, ({ data }) => handle(JSON.parse(data)));
    }
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, RETRY_MS);
    };
  }
  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/** Do something now and again while the page is seen, one at a time; return what stops it. */
export function every(ms, work) {
  let timer, stopped = false;
  async function turn() {
    if (!document.hidden) await work();
    if (!stopped) timer = setTimeout(turn, ms);
  }
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Return a paragraph for what went wrong, empty and hidden until `say` is called. */
export function complaint() {
  const element = el("p", { class: "complaint", role: "alert", hidden: true });
  element.say = (error) => {
    element.textContent = error ? error.message ?? error : "";
    element.hidden = !error;
  };
  return element;
}

/** A list of the server, page by page, the newest first; its rows are kept up to date. */
export class Listing {
  /**
   * @param path of the list.
   * @param row makes a row: returns its element and a function that takes the item's new state.
   * @param empty text for a list without items.
   */
  constructor(path, row, empty) {
    Object.assign(this, { path, row, query: {}, rows: new Map(), cursor: null });
    this.list = el("ul", { class: "rows" });
    const onclick = () => this.next();
    this.more = el("button", { type: "button", hidden: true, onclick }, t("more"));
    this.empty = el("p", { class: "quiet", hidden: true }, empty);
    this.complaint = complaint();
    this.element = el("div", {}, this.list, this.empty, this.more, this.complaint);
  }

  /** Show another list. */
  async ask(query) {
    this.query = Object.fromEntries(Object.entries(query).filter(([, value]) => value));
    this.rows.clear();
    this.list.replaceChildren();
    await this.refresh();
  }

  /** Take in what is new and what has changed on the first page; return its items. */
  async refresh() {
    const first = this.rows.size === 0;
    const page = await this.fetch({});
    if (!page) return [];
    for (const item of page.items.toReversed()) this.put(item, "prepend");
    if (first) this.turnedTo(page);
    this.empty.hidden = this.rows.size > 0;
    return page.items;
  }

  async next() {
    const page = await this.fetch({ cursor: this.cursor });
    if (!page) return;
    for (const item of page.items) this.put(item, "append");
    this.turnedTo(page);
  }

  turnedTo(page) {
    this.cursor = page.next_cursor;
    this.more.hidden = !this.cursor;
  }

  async fetch(more) {
    const asked = this.query;
    try {
      const page = await api(`${this.path}?${new URLSearchParams({ ...asked, ...more })}`);
      this.complaint.say(null);
      return asked === this.query ? page : null; // else another list was asked for meanwhile
    } catch (error) {
      this.complaint.say(error);
      return null;
    }
  }

  put(item, where) {
    const id = item.id ?? `${item.call_id} ${item.started_at}`;
    if (!this.rows.has(id)) {
      const row = this.row(item);
      this.rows.set(id, row);
      this.list[where](row.element);
    }
    this.rows.get(id).update(item);
  }
}
