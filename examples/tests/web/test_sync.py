"""Long playback with seeks."""

import os

import listening
from listening import listen, opened, playing, run_on, together

SYNC_S = float(os.environ.get("VOCALIZER_SYNC_S", "60"))


def test_stems_stay_in_sync_for_minutes_with_seeks(visit, service, demo):
    page = opened(visit, service, demo)
    playing(page)
    listen(page)
    began, seeks = listening.clock(page), 0
    while listening.clock(page) - began < SYNC_S * 44100:
        page.locator("#place").focus()
        page.evaluate("""(to) => {
          const place = document.querySelector('#place');
          place.value = to;
          place.dispatchEvent(new Event('input', { bubbles: true }));
        }""", (seeks * 7.31) % 12 + 1)
        seeks += 1
        run_on(page, 7)
    at = together(page, demo)
    print(f"\n{SYNC_S:.0f} s of playback, {seeks} seeks: all four stems at sample {at}, no drift")
    assert seeks >= SYNC_S // 8
