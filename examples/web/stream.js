// One event stream for all tabs. Over HTTP/1.1 a browser keeps at most six connections to a server, and each stream holds one of them: six
// tabs with a stream each would stop everything.
//
// The tab that holds a lock has the stream and passes its events to the others. Pages without TLS have no locks: there, visible tabs have a
// stream and pass its events to the hidden ones.

const SOURCE = new URL('songs/events', document.baseURI).href;
const EVENTS = ['song', 'deleted'];

/**
 * `listener` has `open()`, for when the list may be out of date; `event(name, data)`; `cut()`, for the end of the stream; and `user()`, for
 * when another tab knows another user. Returns a function that subscribes to the events of a user (an ID or null; undefined while it is
 * unknown); it is called again when the user changes, and after `cut`.
 * @param {{ open: () => void, event: (name: string, data: any) => void, cut: () => void, user: () => void }} listener
 * @returns {(user?: string | null) => void}
 */
export function connect(listener) {
  const channel = new BroadcastChannel(SOURCE);
  let user;
  let stream = null;
  let started = false;
  let locked = false;

  const leads = () => (navigator.locks ? locked : !document.hidden);
  const tell = (message) => channel.postMessage({ ...message, user });
  const isAnother = (other) => user !== undefined && other !== undefined && other !== user;

  function open() {
    stream?.close();
    const current = new EventSource(SOURCE);
    stream = current;
    current.onopen = () => {
      tell({ is: 'open' });
      listener.open();
    };
    for (const name of EVENTS) {
      current.addEventListener(name, ({ data }) => {
        tell({ is: 'event', name, data });
        listener.event(name, JSON.parse(data));
      });
    }
    current.onerror = () => {
      if (stream !== current) return;
      close();
      tell({ is: 'cut' });
      listener.cut();
    };
  }

  function close() {
    stream?.close();
    stream = null;
  }

  channel.onmessage = ({ data: message }) => {
    if (isAnother(message.user)) listener.user();
    else if (message.is === 'open') listener.open();
    else if (message.is === 'event') listener.event(message.name, JSON.parse(message.data));
    else if (message.is === 'cut') listener.cut();
    // Another tab has found the server again, perhaps earlier than this one: timers of hidden tabs are late.
    else if (leads() && !stream) open();
  };

  // Holds the lock, and the stream, until the page is left.
  const lead = () => new Promise((/** @type {(nothing?: void) => void} */ done) => {
    locked = true;
    open();
    window.addEventListener('pagehide', () => {
      locked = false;
      close();
      done();
    }, { once: true });
  });

  function start() {
    started = true;
    if (!navigator.locks) return document.hidden ? listener.open() : open();
    return navigator.locks.request(SOURCE, { ifAvailable: true }, (lock) => {
      if (lock) return lead();
      navigator.locks.request(SOURCE, lead);
      return listener.open();
    });
  }

  if (!navigator.locks) document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  // The browser shows a page again that it has kept.
  window.addEventListener('pageshow', ({ persisted }) => { if (persisted) start(); });

  return (now) => {
    const changed = isAnother(now);
    user = now;
    if (!started) return start();
    tell({ is: 'subscribe' });
    if (!leads()) return changed ? listener.open() : undefined;
    return changed || !stream ? open() : undefined;
  };
}
