"""A headless Chromium, and how tests wait for what it shows."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

WAIT_S = 60
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class Browser:
    """Chromium on one sandbox."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all that match, in one step: a row that goes meanwhile does no harm."""
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map(one => one.innerText.trim())",
            selector,
        )
        return found

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def press(self, keys: str) -> None:
        """Type where the focus is."""
        self.driver.switch_to.active_element.send_keys(keys)

    def until(self, holds: Callable[[], Any], what: str) -> None:
        WebDriverWait(self.driver, WAIT_S, poll_frequency=0.02).until(lambda _: holds(), what)

    def live(self) -> None:
        """Wait until the log is live."""
        self.until(lambda: self.find("#said").text.startswith("live"), "the log is not live")

    def resize(self, width: int, height: int = 740) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def scheme(self, name: str) -> None:
        """Choose light or dark, as the system would."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """Return what the browser's console has to say, once."""
        entries: Any = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries]


@contextmanager
def chromium(url: str) -> Iterator[Browser]:
    """Start Chromium; skip the test where there is none."""
    binary, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver_path is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as directory:
        options = Options()
        options.binary_location = binary
        for flag in (*FLAGS, f"--user-data-dir={Path(directory) / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, Service(driver_path))
        try:
            yield Browser(driver, url)
        finally:
            driver.quit()
