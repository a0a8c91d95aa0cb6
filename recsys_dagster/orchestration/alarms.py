"""Raise alarms: a line in the log, and a message to the webhook if one is set."""

import logging
import time

from recsys_dagster.errors import RecsysError
from recsys_dagster.settings import Settings

ATTEMPTS = 3
DEADLINE_SECONDS = 30.0
"""Limit for all attempts together."""


def raise_alarm(settings: Settings, text: str, log: logging.Logger) -> None:
    """Write the text to the log as an error, and post it to RECSYS_WEBHOOK as `{"text": …}`, as chat services expect.

    Only the status of the answer is read.

    Raises:
        RecsysError: the webhook did not accept the alarm. The message does not contain the address, which may be a
            secret.
    """
    import httpx

    from recsys_dagster.runtime.http_client import Deadline, describe_http_error, open_response

    log.error(text)
    if settings.webhook is None:
        return
    address = settings.webhook.get_secret_value()
    with Deadline(DEADLINE_SECONDS) as deadline:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with open_response("POST", address, deadline, json={"text": text}) as response:
                    response.raise_for_status()
                    return
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason = describe_http_error(error)
            if deadline.expired:
                reason = f"no answer within {DEADLINE_SECONDS:g} seconds"
                break
            time.sleep(min(0.25 * 2**attempt, deadline.remaining))
    raise RecsysError(f"RECSYS_WEBHOOK did not take the alarm, tried {attempt} times: {reason}; {text}")
