"""Where the contents of attached files lie, as the settings say."""

from vai.ports import Contents
from vai.settings import Settings
from vai.storage import open_contents
from vai.wiring.faults import CannotServe


def contents_of(settings: Settings) -> Contents:
    """The place of this deployment's artifacts. Raises CannotServe."""
    try:
        return open_contents(settings.artifacts_url, settings.data_dir / "artifacts")
    except ImportError as error:
        message = f"VAI_ARTIFACTS_URL needs vai-engine[files]: pip install 'vai-engine[files]' ({error})."
        raise CannotServe(message) from error
    except Exception as error:  # whatever a library says of a URL that it does not like
        raise CannotServe(f"VAI_ARTIFACTS_URL cannot be used: {type(error).__name__}.") from error
