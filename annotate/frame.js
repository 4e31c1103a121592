// What all pages of the reviewers share: keys, the focus, and the height of the frame that Argilla shows a page in.
const hardcutFrame = (() => {
  "use strict";
  const outside = window.parent.document;
  const typing = (target) => target?.closest?.("textarea, [contenteditable='true'], [contenteditable=''], input:not([type=radio]):not([type=checkbox])");

  // Argilla sets the frame's height once, when it loads; what opens or loads later needs it again.
  function fitted(root) {
    function fit() {
      if (window.frameElement) window.frameElement.style.height = `${Math.ceil(root.getBoundingClientRect().height) + 6}px`;
    }
    new ResizeObserver(fit).observe(root);
    return fit;
  }

  // `actions` by key, each followed by `show`; `question` is the one that numbers answer.
  function listen(actions, question, show) {
    // Argilla takes an answer away when its number is pressed again: who agrees with a suggestion presses it too.
    const given = (target) => {
      const asked = target?.closest?.(`[aria-label='Question: ${question}']`);
      return [...(asked?.querySelectorAll("input:checked") || [])].map((input) => input.dataset.keyboard);
    };
    function onKey(event) {
      if (!window.frameElement) { outside.removeEventListener("keydown", onKey, true); return; } // another record is shown
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      if (given(event.target).includes(event.key)) { event.preventDefault(); event.stopPropagation(); return; }
      const action = actions[event.key];
      if (!action) return;
      event.preventDefault();
      event.stopPropagation();
      action();
      show();
    }
    outside.addEventListener("keydown", onKey, true);
    document.addEventListener("keydown", onKey, true);
    // Answers are given by keys of the page around: it has the focus, whatever is clicked in here.
    let before = outside.activeElement;
    window.addEventListener("pointerdown", () => { before = outside.activeElement; });
    window.addEventListener("click", () => { window.parent.focus(); if (before && before !== window.frameElement) before.focus(); });
  }
  return { typing, fitted, listen };
})();
