"""Raise alarms: a line in the log, and a message to the webhook if one is set."""

import logging

from recsys_dagster.errors import RecsysError
from recsys_dagster.settings import Settings

TRIES = 3
TIMEOUT_SECONDS = 10.0


def raise_alarm(settings: Settings, text: str, log: logging.Logger) -> None:
    """Write the text to the log as an error, and post it to RECSYS_WEBHOOK as `{"text": …}`, as chat services expect.

    Raises:
        RecsysError: the webhook did not accept it several times. The message does not contain the address, which may be
            a secret.
    """
    import httpx
    from tenacity import RetryError, retry, retry_if_exception_type, stop_after_attempt, wait_exponential

    log.error(text)
    if settings.webhook is None:
        return
    address = settings.webhook.get_secret_value()

    @retry(
        retry=retry_if_exception_type(httpx.HTTPError),
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(multiplier=0.5),
    )
    def post() -> None:
        httpx.post(address, json={"text": text}, timeout=TIMEOUT_SECONDS).raise_for_status()

    try:
        post()
    except RetryError as error:
        cause = error.last_attempt.exception()
        reason = (
            f"it answered {cause.response.status_code}" if isinstance(cause, httpx.HTTPStatusError) else repr(cause)
        )
        raise RecsysError(f"RECSYS_WEBHOOK did not take the alarm, {TRIES} times: {reason}; {text}") from None
