"""Records the page's player, sample by sample.

An init script captures the player's audio nodes: for each stem, the merger before the level, and the gain. A recorder in the audio
thread keeps the last seconds of their output, all at the same frames of one clock.
"""

from playwright.sync_api import expect

CATCH = """
window.caught = { mergers: [], gains: [], contexts: [] };
for (const [name, list] of [['createChannelMerger', 'mergers'], ['createGain', 'gains']]) {
  const made = AudioContext.prototype[name];
  AudioContext.prototype[name] = function (...given) {
    const node = made.apply(this, given);
    if (!this.forRecording) window.caught[list].push(node);
    return node;
  };
}
const Context = window.AudioContext;
window.AudioContext = class extends Context {
  constructor(...given) { super(...given); window.caught.contexts.push(this); }
};
"""

RECORDER = """
registerProcessor('recorder', class extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.length = options.processorOptions.length;
    this.kept = Array.from({ length: options.numberOfInputs }, () => new Float32Array(this.length));
    this.frame = 0;
    this.port.onmessage = () => this.port.postMessage({ frame: currentFrame, length: this.length, kept: this.kept.map((ring) => {
      const at = this.frame % this.length;
      const all = new Float32Array(this.length);
      all.set(ring.subarray(at));
      all.set(ring.subarray(0, at), this.length - at);
      return all;
    }) });
  }
  process(inputs) {
    for (let n = 0; n < 128; n += 1) {
      const at = (this.frame + n) % this.length;
      for (const [index, input] of inputs.entries()) this.kept[index][at] = input[0]?.[n] ?? 0;
    }
    this.frame += 128;
    return true;
  }
});
"""

# Records the left channels of the player's nodes; `window.heard()` returns the last seconds.
LISTEN = """
async ({ seconds, which, script }) => {
  const context = caught.contexts.at(-1);
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
  const nodes = which === 'stems' ? caught.mergers : [caught.gains[0]];
  const recorder = new AudioWorkletNode(context, 'recorder',
    { numberOfInputs: nodes.length, numberOfOutputs: 0, processorOptions: { length: Math.round(seconds * context.sampleRate / 128) * 128 } });
  nodes.forEach((node, index) => node.connect(recorder, 0, index));
  window.heard = () => new Promise((done, fail) => {
    setTimeout(() => fail(new Error('the audio thread did not answer for 30 s')), 30000);
    recorder.port.onmessage = ({ data }) => done(data);
    recorder.port.postMessage(null);
  });
}
"""

# Finds the last `frames` of a stem's recording in its file, which the browser decodes as a whole, and the largest difference there.
COMPARE = """
async ({ files, frames, rate }) => {
  const { kept } = await window.heard();
  const found = [];
  for (const [index, file] of files.entries()) {
    const bytes = await (await fetch(file)).arrayBuffer();
    const whole = (await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes)).getChannelData(0);
    const all = kept[index].subarray(kept[index].length - frames);
    const key = [];
    for (let n = 0; n < 96; n += 1) key.push(Math.floor(n * (frames - 1) / 95));
    let [best, at] = [Infinity, -1];
    for (let from = 0; from + frames <= whole.length; from += 1) {
      let off = 0;
      for (const n of key) {
        off += Math.abs(all[n] - whole[from + n]);
        if (off >= best) break;
      }
      if (off < best) [best, at] = [off, from];
    }
    let [most, loudest] = [0, 0];
    for (let n = 0; n < frames; n += 1) {
      most = Math.max(most, Math.abs(all[n] - whole[at + n]));
      loudest = Math.max(loudest, Math.abs(all[n]));
    }
    found.push({ at, most, loudest });
  }
  return found;
}
"""

# The RMS of each stem after its gain.
LEVELS = """
() => Promise.all(caught.gains.slice(1, 5).map(async (gain) => {
  const analyser = new AnalyserNode(gain.context, { fftSize: 32768 });
  gain.connect(analyser);
  const clock = gain.context;
  const until = clock.currentTime + 1.2;
  while (clock.currentTime < until) await new Promise((done) => setTimeout(done, 30));
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  gain.disconnect(analyser);
  return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
}))
"""

# Whether the clock has reached a frame. It does not advance while playback is paused.
RUN_ON = """
(until) => {
  const context = caught.contexts.at(-1);
  if (context.currentTime * context.sampleRate >= until) return true;
  if (document.querySelector('#player').dataset.state === 'paused') throw new Error('playback stopped');
  return false;
}
"""

STEMS = ["vocals", "drums", "bass", "other"]


def listen(page, seconds=4, which="stems"):
    """Starts recording; the player must be playing. Needs a page from `opened`, which bypasses the Content-Security-Policy."""
    page.evaluate(LISTEN, {"seconds": seconds, "which": which, "script": RECORDER})


def heard(page, files, frames=88200, rate=44100):
    """Returns, for each file, the position of the recording in samples and the difference."""
    return page.evaluate(COMPARE, {"files": files, "frames": frames, "rate": rate})


def clock(page):
    """Returns the page's audio clock in frames."""
    return page.evaluate("Math.round(caught.contexts.at(-1).currentTime * caught.contexts.at(-1).sampleRate)")


def run_on(page, seconds):
    """Waits until the audio clock has advanced; on a busy machine this can take longer than `seconds`. Fails if playback stops."""
    until = clock(page) + seconds * page.evaluate("caught.contexts.at(-1).sampleRate")
    page.wait_for_function(RUN_ON, arg=until, timeout=0)


def opened(visit, service, song):
    # The page's policy would block the recorder script; other tests check the policy.
    page = visit(service, f"/#/songs/{song['id']}", init=CATCH, bypass_csp=True)
    expect(page.locator("#play")).to_be_enabled()
    return page


def playing(page):
    page.locator("#play").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")


def seconds(page):
    """Returns the player's position."""
    minutes, rest = page.locator("#time").inner_text().split(" / ")[0].split(":")
    return 60 * int(minutes) + int(rest)


def files(song):
    return [f"/songs/{song['id']}/{stem}.mp3" for stem in STEMS]


def together(page, song, **settings):
    """Checks that all stems play the same sample and match their files. Returns the position."""
    found = heard(page, files(song), **settings)
    for stem, each in zip(STEMS, found):
        assert each["loudest"] > 0.003, f"{stem} is too quiet to locate: {each}"
        assert each["most"] < 1e-4, f"{stem} differs from its file: {each}"
    assert len({each["at"] for each in found}) == 1, f"the stems are out of sync: {found}"
    return found[0]["at"]
