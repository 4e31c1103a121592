// What is around the page: whether the server is there, the answer until it has been taken, what is left, and the form
// on a narrow screen. It looks into Argilla's own form; where another version has other names, only this is missing.
(() => {
  "use strict";
  const outside = window.parent.document;
  const [lost, kept, left] = ["lost", "kept", "left"].map((name) => document.querySelector(`#hc .${name}`));
  const open = () => window.frameElement !== null; // false: another record is shown
  const auth = window.parent.$nuxt?.$auth;
  const user = auth?.user?.id || "";
  const stored = window.parent.localStorage;
  // What all pages of this tab share.
  const shared = (window.parent.hardcut ||= { sending: null });

  // A dead server is seen at once. Argilla puts the form back when sending fails, and the answer would be the suggestion
  // again: so nothing is sent meanwhile.
  lost.textContent = "The server does not answer. Your answer is kept in this browser, also if you close this tab, and nothing is sent. Submit it when this line is gone.";
  async function watch() {
    if (!open()) return;
    try {
      const { status } = await window.parent.fetch("/api/v1/version", { cache: "no-store", signal: AbortSignal.timeout(4000) });
      lost.hidden = status < 502 || status > 504;
    } catch { lost.hidden = false; }
    setTimeout(watch, 1500);
  }
  const { typing } = hardcutFrame;
  const isSending = (event) =>
    event.type === "click"
      ? /submit|discard|draft|update/i.test(event.target?.closest?.("form button")?.textContent || "")
      : !typing(event.target) && (event.key === "Enter" || event.key === "Backspace" || (event.key === "s" && (event.ctrlKey || event.metaKey)));

  // The answer: what is chosen and written in the form, by question.
  const questions = () => [...outside.querySelectorAll("form [aria-label^='Question: ']")];
  const nameOf = (question) => question.getAttribute("aria-label").slice("Question: ".length);
  const textOf = (question) => question.querySelector("[contenteditable]");
  const given = (question) => textOf(question)?.innerText.trim() ?? [...question.querySelectorAll("input:checked")].map((input) => input.id).sort();
  const form = () => JSON.stringify(Object.fromEntries(questions().map((each) => [nameOf(each), given(each)])));
  const place = `hardcut answer ${user} ${record.id}`;
  // An answer belongs to what was seen.
  const seen = [...record.fields.page.page].reduce((sum, letter) => (Math.imul(sum, 31) + letter.codePointAt(0)) | 0, 7);
  let untouched = null; // what the form holds before anybody has touched it
  const clock = `hardcut answered ${user}`;
  const mine = { place, clock, gone: false }; // gone: it is on its way, and the form may be the next record's
  function keep(event) {
    if (untouched === null || mine.gone || !open()) return;
    const now = form();
    if (now !== untouched || (event && isSending(event))) stored.setItem(place, JSON.stringify({ now, seen, at: Date.now() }));
    else stored.removeItem(place);
  }
  function write(field, text) {
    const focused = outside.activeElement;
    field.focus();
    outside.execCommand("selectAll");
    outside.execCommand(text ? "insertText" : "delete", false, text);
    field.blur();
    focused?.focus?.();
  }
  function restore() {
    const found = JSON.parse(stored.getItem(place) || "null");
    if (!found) return;
    const taken = Math.max(0, ...record.responses.map((each) => Date.parse(`${each.updated_at}Z`)));
    if (found.seen !== seen || taken > found.at) { stored.removeItem(place); return; }
    const wanted = JSON.parse(found.now);
    for (const question of questions()) {
      const [field, value] = [textOf(question), wanted[nameOf(question)]];
      if (value === undefined) continue;
      if (field) { if (field.innerText.trim() !== value) write(field, value); continue; }
      for (const input of question.querySelectorAll("input")) {
        if (input.checked && !value.includes(input.id) && question.querySelectorAll("input:checked").length > value.length) input.click();
        else if (!input.checked && value.includes(input.id)) input.click();
      }
    }
    kept.textContent = "Your answer of before is filled in. It was not sent yet: submit it.";
    kept.hidden = false;
  }
  function begin(tries) {
    if (!open()) return;
    if (!questions().length) { if (tries) setTimeout(begin, 100, tries - 1); return; }
    untouched = form();
    restore();
  }
  function onEvent(event) {
    if (!open()) { for (const name of EVENTS) outside.removeEventListener(name, onEvent, true); return; }
    if (isSending(event)) {
      keep(event);
      shared.sending = mine;
      if (!lost.hidden) { event.preventDefault(); event.stopImmediatePropagation(); }
    } else setTimeout(keep, 0);
  }
  const EVENTS = ["click", "keydown", "keyup", "input", "change"];
  for (const name of EVENTS) outside.addEventListener(name, onEvent, true);
  document.addEventListener("keydown", (event) => { if (isSending(event) && !lost.hidden) event.preventDefault(); }, true);

  // The server has taken an answer when it says so, and not before. This runs in Argilla's page: what belongs to a
  // frame that is gone is called no more.
  function watchSending() {
    const { open } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.open = function (method, url, ...more) {
      const sent = window.hardcut.sending;
      if (sent && /^(post|put)$/i.test(method) && /\/responses(\/[^/]*)?$/.test(String(url).split("?")[0])) {
        sent.gone = true;
        this.addEventListener("loadend", () => {
          sent.gone = this.status >= 200 && this.status < 300;
          if (sent.gone) {
            localStorage.removeItem(sent.place);
            localStorage.setItem(sent.clock, JSON.stringify([...JSON.parse(localStorage.getItem(sent.clock) || "[]").slice(-5000), Date.now()]));
          }
          window.hardcut.told(sent);
        });
      }
      return open.call(this, method, url, ...more);
    };
  }
  if (!shared.watches) {
    shared.watches = true;
    const script = outside.createElement("script");
    script.textContent = `(${watchSending})()`;
    outside.head.appendChild(script).remove();
  }
  shared.told = (sent) => { if (!sent.gone && sent.place === place && open()) setTimeout(restore, 300); };

  // What comes first and how much is left today.
  const ORDER = ["blind", "adjudication", "assisted", "pairwise"];
  function answeredAt() {
    const midnight = new Date().setHours(0, 0, 0, 0);
    return JSON.parse(stored.getItem(clock) || "[]").filter((time) => time >= midnight);
  }
  async function count() {
    const token = auth?.strategy?.token?.get?.();
    if (!token) return null;
    const ask = async (path, body) => {
      const headers = { Authorization: token, "Content-Type": "application/json" };
      const answer = await window.parent.fetch(`/api/v1/${path}`, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.json();
    };
    const { items } = await ask("me/datasets");
    const named = (each) => /^(.*)-(blind|assisted|adjudication|pairwise)$/.exec(each.name);
    const run = named(items.find((each) => each.id === record.dataset_id) || { name: "" })?.[1];
    const pending = ["response", "record"].map((entity) => ({ type: "terms", scope: { entity, property: "status" }, values: ["pending"] }));
    const found = [];
    for (const each of items.filter((item) => run !== undefined && named(item)?.[1] === run)) {
      const { total } = await ask(`me/datasets/${each.id}/records/search?limit=1`, { filters: { type: "and", and: pending } });
      found.push({ id: each.id, set: named(each)[2], total });
    }
    return found.sort((a, b) => ORDER.indexOf(a.set) - ORDER.indexOf(b.set));
  }
  function pace(times) {
    const gaps = times.slice(1).map((time, at) => time - times[at]).filter((gap) => gap < 600000).sort((a, b) => a - b);
    return gaps.length < 3 ? null : gaps[Math.floor(gaps.length / 2)] / 1000;
  }
  async function tell() {
    let counts = null;
    try { counts = await count(); } catch { /* the server is away, and the line above says so */ }
    if (!counts?.length || !open()) return;
    const [times, waiting] = [answeredAt(), counts.filter((each) => each.total)];
    const total = waiting.reduce((sum, each) => sum + each.total, 0);
    const each = pace(times);
    left.replaceChildren("Left for you: ");
    waiting.forEach((one, at) => {
      if (at) left.append(", ");
      const text = `${one.total} ${one.set}${at || waiting.length === 1 ? "" : " (first)"}`;
      if (one.id === record.dataset_id) { left.append(text); return; }
      const link = left.appendChild(document.createElement("button"));
      link.textContent = text;
      link.addEventListener("click", () => window.parent.location.assign(`/dataset/${one.id}/annotation-mode`));
    });
    if (!total) left.append("nothing");
    const minutes = each && Math.round((total * each) / 60);
    left.append(each === null ? "." : `: about ${minutes > 1 ? `${minutes} minutes` : "a minute"} at your ${Math.max(1, Math.round(each))} s each.`);
    left.append(` Answered today in this browser: ${times.length}.`);
    left.hidden = false;
  }

  // On a narrow screen Argilla puts the form far below the record: its first question and its buttons come to the edge.
  const NARROW = `@media (max-width: 1099px) {
    .resizable-v.wrapper { padding-bottom: 150px; }
    .footer-form { position: fixed; z-index: 30; left: 0; right: 0; bottom: 0; }
    .footer-form button { min-height: 52px; }
    .questions > [aria-label^="Question: "]:first-child { position: fixed; z-index: 30; left: 0; right: 0; bottom: 60px;
      padding: 6px 12px 10px; background: var(--bg-accent-grey-1, #fff); border-top: 1px solid rgb(128 128 128 / .35); }
    .questions > [aria-label^="Question: "]:first-child .title-area { display: none; }
  }`;
  if (!outside.getElementById("hardcut-narrow")) {
    const style = outside.head.appendChild(outside.createElement("style"));
    style.id = "hardcut-narrow";
    style.textContent = NARROW;
  }
  begin(100);
  void watch();
  void tell();
})();
