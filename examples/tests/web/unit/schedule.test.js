import assert from 'node:assert/strict';
import test from 'node:test';
import { Schedule } from '../../../web/schedule.js';

const all = () => true;
const made = (settings = {}) => new Schedule({ length: 1000, segment: 100, lead: 10, late: 4, ahead: 150, ...settings });

// A piece at the song's own speed.
const plain = (frame, from, to, index, more = {}) => ({ frame, frames: to - from, from, to, index, speed: 1, round: 0, delay: 0, ...more });

// Plans as an engine does, and returns the pieces as [frame, from, to].
function planned(schedule, now, has = all) {
  const pieces = [];
  for (let next = schedule.plan(now, has); next?.piece; next = schedule.plan(now, has)) pieces.push([next.piece.frame, next.piece.from, next.piece.to]);
  return pieces;
}

test('playback starts after the lead time and each segment starts where the one before it ends', () => {
  assert.deepEqual(planned(made(), 0), [[10, 0, 100], [110, 100, 200]]);
});

test('nothing is planned further ahead than needed', () => {
  const schedule = made();
  planned(schedule, 0);
  assert.equal(schedule.plan(20, all), null);
  assert.deepEqual(planned(schedule, 61), [[210, 200, 300]]);
});

test('the position follows the clock and does not run ahead of what is planned', () => {
  const schedule = made();
  planned(schedule, 0);
  assert.deepEqual([0, 10, 60, 115, 500].map((now) => schedule.position(now)), [0, 0, 50, 105, 200]);
});

test('a position after a seek is the one sought, also before the clock reaches it', () => {
  const schedule = made();
  planned(schedule, 0);
  schedule.seek(730);
  assert.equal(schedule.position(50), 730);
  assert.deepEqual(planned(schedule, 50)[0], [60, 730, 800]);
  assert.equal(schedule.position(51), 730);
});

test('seeks are kept inside the song', () => {
  const schedule = made();
  schedule.seek(-5);
  assert.equal(schedule.position(0), 0);
  schedule.seek(5000);
  assert.equal(schedule.position(0), 1000);
  assert.deepEqual(schedule.plan(0, all), { ended: true });
});

test('the end comes only after everything has been played', () => {
  const schedule = made({ length: 120 });
  assert.deepEqual(planned(schedule, 0), [[10, 0, 100], [110, 100, 120]]);
  assert.equal(schedule.plan(129, all), null);
  assert.deepEqual(schedule.plan(130, all), { ended: true });
});

test('a missing segment is named, and what is planned continues', () => {
  const schedule = made();
  const has = (index) => index === 0;
  assert.deepEqual(planned(schedule, 0, has), [[10, 0, 100]]);
  assert.deepEqual(schedule.plan(0, has), { missing: 1 });
  assert.equal(schedule.isBusy(50), true);
  assert.equal(schedule.isBusy(110), false);
});

test('a segment that comes too late starts a new lead time', () => {
  const schedule = made();
  planned(schedule, 0, (index) => index === 0);
  // At 104 the gapless frame 110 can still be met, at 107 not.
  assert.deepEqual(schedule.plan(104, all), { piece: plain(110, 100, 200, 1), fresh: false });
  const late = made();
  planned(late, 0, (index) => index === 0);
  assert.deepEqual(late.plan(107, all), { piece: plain(117, 100, 200, 1), fresh: true });
});

test('a loop repeats without a gap, also when its ends are inside segments', () => {
  const schedule = made();
  schedule.loop = [50, 130];
  schedule.seek(50);
  assert.deepEqual(planned(schedule, 0), [[10, 50, 100], [60, 100, 130], [90, 50, 100], [140, 100, 130]]);
  assert.equal(schedule.upcoming, 0);
});

test('a loop behind the position does not hold it', () => {
  const schedule = made();
  schedule.loop = [50, 130];
  schedule.seek(200);
  assert.deepEqual(planned(schedule, 0), [[10, 200, 300], [110, 300, 400]]);
});

test('a new plan continues after the lead time at the sample that would play then', () => {
  const schedule = made();
  planned(schedule, 0);
  assert.equal(schedule.replan(30), 40);
  assert.deepEqual(planned(schedule, 30)[0], [40, 30, 100]);
});

test('a loop whose end falls into the lead time continues from its start', () => {
  const schedule = made();
  planned(schedule, 0);
  schedule.loop = [5, 25];
  // At 30 the position is 20; at 40 it would be 30, which is 10 after the loop's start.
  assert.equal(schedule.replan(30), 40);
  assert.deepEqual(planned(schedule, 30)[0], [40, 10, 25]);
});

test('a new plan before the first sound does not start earlier', () => {
  const schedule = made({ lead: 20 });
  planned(schedule, 0);
  schedule.lead = 10;
  assert.equal(schedule.replan(1), 20);
  assert.equal(made().replan(1), null);
});

test('at another speed pieces last longer or shorter, and the position follows', () => {
  const schedule = made({ ahead: 450 });
  schedule.speed = 0.5;
  assert.deepEqual(planned(schedule, 0), [[10, 0, 100], [210, 100, 200], [410, 200, 300]]);
  assert.deepEqual([10, 60, 210, 310].map((now) => schedule.position(now)), [0, 25, 100, 150]);
  assert.equal(schedule.replan(100), 110);
  assert.deepEqual(planned(schedule, 100)[0], [110, 50, 100]);
});

test('parts of frames are not lost: after many pieces the clock is right to one frame', () => {
  const schedule = made({ length: 10_000, ahead: Infinity });
  Object.assign(schedule, { speed: 0.7, grain: 37 });
  const pieces = planned(schedule, 0);
  const [frame, from] = pieces.at(-1);
  assert.ok(Math.abs(frame - 10 - from / 0.7) < 1, `${frame} for ${from}`);
  assert.ok(pieces.every(([, begin, end]) => end - begin <= 37));
});

test('what follows a piece must be loaded, if it is needed to render it', () => {
  const schedule = made();
  Object.assign(schedule, { grain: 40, margin: 30 });
  const has = (index) => index === 0;
  assert.deepEqual(planned(schedule, 0, has), [[10, 0, 40]]);
  assert.deepEqual(schedule.plan(0, has), { missing: 1 });
  // At the end of the song nothing follows.
  schedule.seek(950);
  assert.deepEqual(planned(schedule, 0, (index) => index === 9), [[10, 950, 990], [50, 990, 1000]]);
});

test('each repetition of a loop has a speed of its own, from its first sample on', () => {
  const schedule = made({ ahead: 400 });
  schedule.loop = [0, 100];
  schedule.speedOf = (round) => [0.5, 0.8, 1][Math.min(2, round)];
  schedule.restart();
  assert.deepEqual(planned(schedule, 0), [[10, 0, 100], [210, 0, 100], [335, 0, 100]]);
  assert.deepEqual([10, 209, 210, 334, 335].map((now) => [schedule.playing(now).round, schedule.playing(now).speed]), [[0, 0.5], [0, 0.5], [1, 0.8], [1, 0.8], [2, 1]]);
  schedule.restart();
  assert.equal(schedule.speed, 0.5);
});

test('rounds that were planned and not heard are planned again', () => {
  const schedule = made({ ahead: 400 });
  schedule.loop = [0, 100];
  schedule.speedOf = (round) => 0.5 + 0.1 * round;
  schedule.restart();
  planned(schedule, 0);
  assert.ok(schedule.round >= 2);
  schedule.replan(50);
  assert.deepEqual([schedule.round, schedule.speed], [0, 0.5]);
  planned(schedule, 50);
  schedule.seek(20);
  assert.deepEqual([schedule.round, schedule.speed], [0, 0.5]);
});

test('a count-in delays the first piece, and only that one', () => {
  const schedule = made();
  schedule.delay = 200;
  assert.deepEqual(schedule.plan(0, all), { piece: plain(210, 0, 100, 0, { delay: 200 }), fresh: true });
  assert.deepEqual(planned(schedule, 200), [[310, 100, 200]]);
  assert.equal(schedule.position(150), 0);
  // A seek ends it.
  schedule.delay = 200;
  schedule.seek(500);
  assert.deepEqual(planned(schedule, 300)[0], [310, 500, 600]);
});
