"""Django's settings, all from the one configuration of a board.

``ACSBENCH_BOARD`` names the data folder; `acsbench.server.start.start_django` sets it.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from acsbench.server.config import ServerConfig, load_config
from acsbench.server.postgres import postgres_settings
from acsbench.server.sign_in.session_key import read_session_key

__all__: list[str] = []

BOARD = load_config(Path(os.environ.get("ACSBENCH_BOARD", "board-data")))

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; "
    "PRAGMA cache_size=-8000;"
)


def _database(config: ServerConfig) -> dict[str, Any]:
    if config.sqlite_file is not None:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(config.sqlite_file),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": _SQLITE_PRAGMAS,
            },
        }
    return postgres_settings(config.database, pooled=os.environ.get("ACSBENCH_ROLE") == "web")


def _hosts(config: ServerConfig) -> list[str]:
    """Names the board answers to; any as long as nobody said which."""
    if not config.public_url:
        return ["*"]
    return [urlsplit(config.public_url).hostname or "", "localhost", "127.0.0.1", "[::1]"]


DATABASES = {"default": _database(BOARD)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "acsbench.server.apps.BoardConfig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.github",
    "allauth.mfa",
]
SILENCED_SYSTEM_CHECKS = [
    "auth.E003",
    "auth.W004",
]  # emails are unique in any case, by a constraint
_PAGES = Path(__file__).parent / "pages"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_PAGES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "acsbench.server.pages.rendering.served",
            ]
        },
    },
    {  # draws a hundred rows in a fifth of the time; `base.html` is read by both
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [_PAGES / "board_templates", _PAGES / "templates"],
    },
]
AUTH_USER_MODEL = "board.Account"
ROOT_URLCONF = "acsbench.server.urls"
MIDDLEWARE = [
    "acsbench.server.middleware.with_request_id",
    "allauth.account.middleware.AccountMiddleware",
]

SECRET_KEY = read_session_key(BOARD.keys)
ALLOWED_HOSTS = _hosts(BOARD)
CSRF_TRUSTED_ORIGINS = [BOARD.public_url.rstrip("/")] if BOARD.public_url else []
CSRF_FAILURE_VIEW = "acsbench.server.pages.errors.foreign_form"
# over plain http, which is for one's own machine, a browser refuses `Secure` and thus `__Host-`
_COOKIES = "__Host-" if BOARD.is_secure else "acsbench-"
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_COOKIES}session", f"{_COOKIES}csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BOARD.is_secure
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = round(BOARD.sign_in.session_days * 86400)
CSRF_COOKIE_AGE = SESSION_COOKIE_AGE
SESSION_ENGINE = "django.contrib.sessions.backends.db"

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
PASSWORD_RESET_TIMEOUT = 86400  # of the operator's links
_VALIDATION = "django.contrib.auth.password_validation."
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}CommonPasswordValidator"},  # 20,000 breached ones, in the package
    {
        "NAME": f"{_VALIDATION}UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
]
LOGIN_URL, LOGIN_REDIRECT_URL = "account_login", "/account/"
_ADAPTERS = "acsbench.server.sign_in.adapters"
ACCOUNT_ADAPTER = f"{_ADAPTERS}.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]  # what the sign-in form asks for, too
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "none"  # a board sends no mail; providers verify
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if BOARD.is_secure else "http"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
SOCIALACCOUNT_ONLY = not BOARD.sign_in.password
SOCIALACCOUNT_ADAPTER = f"{_ADAPTERS}.ProviderAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True  # verified ones alone
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_LOGIN_ON_GET = True  # a form's redirect to the provider is refused by form-action
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX = "oidc"
MFA_ADAPTER = f"{_ADAPTERS}.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # nobody signs up here with somebody else's address

APPEND_SLASH = False
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LOGGING_CONFIG = None
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # `edge` counts bytes while they arrive, by task
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 2
FILE_UPLOAD_TEMP_DIR = BOARD.incoming if BOARD.incoming.is_dir() else None
FILE_UPLOAD_PERMISSIONS = 0o640
