"""Two people at once: each sees and stops only what is their own."""

from pages import LONG, QUICK, STAGE, cards, generate, job_ids, wait_for_preview, wait_for_state
from playwright.sync_api import expect


def test_visitors_do_not_see_or_stop_each_other(visit):
    ada, bob = visit(), visit()
    generate(ada, "a red ball bounces in a meadow", **LONG)
    wait_for_preview(ada)
    generate(bob, "a blue fish circles under the ocean", **QUICK)
    wait_for_state(bob, "queued")
    expect(cards(ada)).to_have_count(1)
    expect(cards(bob)).to_have_count(1)
    hers, his = job_ids(ada)[0], job_ids(bob)[0]
    assert hers != his
    assert refused(bob, hers) and refused(ada, his)
    bob.locator(f"{STAGE} [data-do=stop]").click()
    wait_for_state(bob, "cancelled")
    wait_for_state(ada, "running")
    ada.locator(f"{STAGE} [data-do=stop]").click()
    wait_for_state(ada, "cancelled")


def refused(page, job: str) -> bool:
    """Whether another visitor's job can be neither read, watched, stopped nor deleted."""
    asked = f"""async () => {{
        const post = (path) => fetch(path, {{ method: "POST", headers: {{ "X-Likeness": "1" }}, body: "{{}}" }});
        const files = ["preview.webp", "clip.mp4", "poster.webp"].map((name) => "media/{job}/" + name);
        const reads = ["studio/jobs/{job}", ...files].map((path) => fetch(path));
        const changes = ["cancel", "delete", "retry"].map((verb) => post("studio/jobs/{job}/" + verb));
        return (await Promise.all([...reads, ...changes])).map((answer) => answer.status);
    }}"""
    return all(status in (400, 404) for status in page.evaluate(asked))
