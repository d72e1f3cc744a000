// What a panel shows is fetched when it is opened: when it is in a visible tab and not far from the screen.

const NEAR = '2000px'; // about two screens

/** Calls `act` once, as soon as `node` is open. */
export function onceOpened(node, act) {
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    act();
  }, { rootMargin: NEAR });
  watcher.observe(node);
  return () => watcher.disconnect();
}

/** A function that calls `act` when `node` is open, however often it is asked to before that. */
export function whenOpened(node, act) {
  let cancel = () => {};
  return () => {
    cancel();
    cancel = onceOpened(node, act);
  };
}
