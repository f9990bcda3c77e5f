"""A plug-in for apprise: sends notifications to contacts, through m2-http.

    apprise --plugin-path apprise_m2.py --body 'Backup done' m2://TOKEN@localhost:8720/ann

The path of the URL has one or more contacts. The token needs the scope `send`.
"""

import logging
import urllib.error
import urllib.request
from urllib.parse import quote

from apprise.decorators import notify

LOG = logging.getLogger("apprise")
# The gateway is on this computer: no proxy leads to it.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TIMEOUT = 30


@notify(on="m2", name="M2")
def send(body, title, notify_type, meta, *args, **kwargs):
    """Sends the notification to each contact. Returns whether the daemon took all of them."""
    gateway = f"http://{meta['host']}:{meta.get('port') or 8720}"
    contacts = [contact for contact in (meta.get("fullpath") or "").split("/") if contact]
    text = "\n".join(part for part in (title, body) if part)
    if not contacts or not meta.get("user"):
        LOG.error("The URL has no token or no contact: m2://TOKEN@localhost:8720/CONTACT")
        return False
    return all([post(gateway, meta["user"], contact, text) for contact in contacts])


def post(gateway, token, contact, text):
    """Sends a text to a contact."""
    request = urllib.request.Request(
        f"{gateway}/v1/contacts/{quote(contact, safe='')}/messages",
        data=text.encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "text/plain"},
    )
    try:
        with OPENER.open(request, timeout=TIMEOUT):
            return True
    except urllib.error.HTTPError as error:
        LOG.error("M2 refused the message: %s", error.read(4096).decode(errors="replace"))
    except OSError as error:
        LOG.error("m2-http does not answer at %s: %s", gateway, error)
    return False
