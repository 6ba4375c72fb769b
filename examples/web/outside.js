// What controls playback from outside the page: other tabs, which must not play at the same time, and the system's media keys.

// Who plays, or played last: the page has one media session. Others leave it alone.
let owner = null;

/** @param {{ about: () => { title: string, artist?: string, cover?: string }, play, pause, isOn: () => boolean, skip: (seconds: number) => void, seek: (seconds: number) => void, next?: () => void }} act */
export function outside(act) {
  const tabs = new BroadcastChannel('vocalizer-playing');
  tabs.onmessage = () => { if (act.isOn()) act.pause(); };

  const session = navigator.mediaSession;
  let shown = '';
  function showSong() {
    const { title, artist = '', cover } = act.about();
    const key = JSON.stringify([title, artist, cover]);
    if (session.metadata && shown === key) return;
    shown = key;
    session.metadata = new MediaMetadata({ title, artist, album: 'Vocalizer', artwork: cover ? [{ src: cover, sizes: '256x256', type: 'image/jpeg' }] : [] });
  }
  const handlers = {
    play: act.play,
    pause: act.pause,
    stop: act.pause,
    previoustrack: () => act.seek(0),
    nexttrack: act.next ?? null,
    seekbackward: ({ seekOffset = 10 }) => act.skip(-seekOffset),
    seekforward: ({ seekOffset = 10 }) => act.skip(seekOffset),
    seekto: ({ seekTime }) => act.seek(seekTime),
  };
  function handle(yes) {
    for (const [name, run] of Object.entries(handlers)) {
      const action = /** @type {MediaSessionAction} */ (name);
      try { session?.setActionHandler(action, yes ? run : null); } catch { /* unknown to this browser */ }
    }
  }

  const me = {
    // Playback has started: tell the other tabs and the system.
    started: () => {
      tabs.postMessage(null);
      // Another player may have shown its song.
      if (owner !== me) shown = '';
      owner = me;
      // Phones continue to play when they are locked or silenced.
      const { audioSession } = /** @type {any} */ (navigator);
      if (audioSession) audioSession.type = 'playback';
      if (!session) return;
      showSong();
      handle(true);
    },
    // The song may have been renamed.
    retitle: () => { if (owner === me && session?.metadata) showSong(); },
    show: (playbackState, position, duration, playbackRate) => {
      if (!session || owner !== me) return;
      session.playbackState = playbackState;
      session.setPositionState?.({ position: Math.min(position, duration), duration, playbackRate });
    },
    close: () => {
      tabs.close();
      if (owner !== me) return;
      owner = null;
      if (!session) return;
      handle(false);
      session.metadata = null;
      session.playbackState = 'none';
    },
  };
  return me;
}
