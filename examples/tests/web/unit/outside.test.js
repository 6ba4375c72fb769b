import assert from 'node:assert/strict';
import test from 'node:test';

const session = { metadata: null, playbackState: 'none', handlers: {}, setActionHandler(name, run) { this.handlers[name] = run; }, setPositionState() {} };
const audioSession = { type: 'auto' };
Object.defineProperty(globalThis, 'navigator', { value: { mediaSession: session, audioSession }, configurable: true });
// Node's own channels keep it from ending.
globalThis.BroadcastChannel = /** @type {any} */ (class { postMessage() {} close() {} });
globalThis.MediaMetadata = class { constructor(of) { Object.assign(this, of); } };
const { outside } = await import('../../../web/outside.js');

function player(title) {
  const of = { title, played: 0 };
  const controls = outside({ about: () => ({ title: of.title }), play: () => { of.played += 1; }, pause: () => {}, isOn: () => false, skip: () => {}, seek: () => {} });
  return { of, controls };
}

test('only the player that plays has the media session', () => {
  const [small, large] = [player('Small'), player('Large')];
  small.controls.started();
  small.controls.show('playing', 1, 10, 1);
  // The page of another song is open and does not play.
  large.controls.show('paused', 0, 20, 1);
  large.controls.retitle();
  assert.deepEqual([session.metadata.title, session.playbackState], ['Small', 'playing']);
  large.controls.close();
  assert.deepEqual([session.metadata.title, session.playbackState], ['Small', 'playing']);
  session.handlers.play();
  assert.equal(small.of.played, 1);
  small.of.title = 'New';
  small.controls.retitle();
  assert.equal(session.metadata.title, 'New');
  small.controls.close();
  assert.deepEqual([session.metadata, session.playbackState, session.handlers.play], [null, 'none', null]);
});

test('the session goes to the player that starts', () => {
  const [small, large] = [player('Small'), player('Large')];
  small.controls.started();
  large.controls.started();
  small.controls.started();
  assert.equal(session.metadata.title, 'Small');
  large.controls.started();
  assert.equal(session.metadata.title, 'Large');
  small.controls.show('paused', 0, 10, 1);
  small.controls.close();
  assert.equal(session.metadata.title, 'Large');
  assert.notEqual(session.handlers.play, null);
  large.controls.close();
  assert.equal(session.metadata, null);
});

test('phones are told that music plays', () => {
  const { controls } = player('Song');
  controls.started();
  assert.equal(audioSession.type, 'playback');
  controls.close();
});
