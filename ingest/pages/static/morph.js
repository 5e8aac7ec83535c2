// Makes an element like another. Only what differs is touched, so that nothing jumps, and focus, selection, what was scrolled and
// what was unfolded stay. A row or a form becomes no other one: what somebody is about to press must not turn into something else.
const keyOf = (node) => node.id || node.dataset?.row || node.getAttribute?.("action") || "";
const THEIRS = ["open"]; // attributes that whoever looks has set

export function morph(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !THEIRS.includes(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const keys = new Set(Array.from(fresh.children, keyOf));
  for (const child of [...old.children]) if (!keys.has(keyOf(child))) child.remove();
  [...fresh.childNodes].forEach((node, index) => {
    const there = old.childNodes[index];
    if (!there || there.nodeName !== node.nodeName || keyOf(there) !== keyOf(node)) old.insertBefore(document.importNode(node, true), there ?? null);
    else if (there.isEqualNode(node)) return;
    else if (node.nodeType === Node.ELEMENT_NODE) morph(there, node);
    else there.nodeValue = node.nodeValue;
  });
  while (old.childNodes.length > fresh.childNodes.length) old.lastChild.remove();
}
