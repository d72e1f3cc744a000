// A notice lies over the foot of the page until the next map, or until it is pressed; a new one is seen again.
let closing = false;

export function closeNotices() {
  if (closing) return;
  closing = true;
  document.addEventListener('click', (event) => {
    const notice = event.target.closest?.('.block.attn-banner');
    if (!notice || event.target.closest('a')) return;
    notice.classList.add('read');
    const changed = new MutationObserver(() => {
      notice.classList.remove('read');
      changed.disconnect();
    });
    changed.observe(notice, { childList: true, subtree: true, characterData: true });
  });
}
