"""All settings, in one file. What a deployment may change comes from `lgsp/env.py`."""

from __future__ import annotations

from csp.constants import NONE, SELF
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from lgsp.env import (
    BASE_DIR,
    IS_PRODUCTION,
    LGSP_ENV,
    VAR_DIR,
    broker_url,
    database_url,
    env,
    private_folder,
    secret,
    secrets_list,
)

# --- core ---------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
if IS_PRODUCTION and DEBUG:
    raise RuntimeError("DEBUG must be off in production.")
SECRET_KEY = secret("SECRET_KEY", development="development-only-secret-key-never-used-in-production-000000")
FIELD_KEYS = secrets_list("LGSP_FIELD_KEYS", development="ZGV2ZWxvcG1lbnQtb25seS1maWVsZC1rZXktMDAwMDE=")
"""Fernet keys of encrypted columns, newest first. Not derived from SECRET_KEY, so that either can rotate."""
PSEUDONYM_KEY = secret("LGSP_PSEUDONYM_KEY", development="development-only-pseudonym-key-000000000000")
"""Key of data-subject pseudonyms and of keyed look-up hashes."""
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if IS_PRODUCTION else ["127.0.0.1", "localhost", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "lgsp.urls"
# A contract of two thousand fields is completed on one page, several boxes a field.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
WSGI_APPLICATION = "lgsp.wsgi.application"
KILL_AT = env.str("LGSP_KILL_AT", default="")
"""A step at which a fault test has this process die (`apps.core.killpoints`)."""
HANG_AT = env.str("LGSP_HANG_AT", default="")
"""A step at which a fault test has this process hang for ever."""
if (KILL_AT or HANG_AT) and LGSP_ENV != "test":
    raise RuntimeError("LGSP_KILL_AT and LGSP_HANG_AT are for fault tests: they are refused unless LGSP_ENV=test.")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SITE_URL = env.str("LGSP_SITE_URL", default="http://127.0.0.1:8000")
GATEWAY_URL = env.str("LGSP_GATEWAY_URL", default="http://127.0.0.1:8001")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "apps.portal.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "rules.apps.AutodiscoverRulesConfig",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tree_queries",
    "csp",
    "apps.core",
    "apps.audit",
    "apps.accounts",
    "apps.legal",
    "apps.notices",
    "apps.organizations",
    "apps.catalogs",
    "apps.registry",
    "apps.connections",
    "apps.agreements",
    "apps.disputes",
    "apps.gateway",
    "apps.sync",
    "apps.portal",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "apps.core.middleware.RequestIdMiddleware",
    "apps.core.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.audit.middleware.RefusalMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.accounts.middleware.PasswordChangeMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.portal.shell.context",
            ]
        },
    }
]

# --- database -----------------------------------------------------------------------------------

DATABASES = {"default": env.db_url_config(database_url())}
DATABASES["default"].update(
    ENGINE="django.db.backends.postgresql",
    CONN_MAX_AGE=0,
    TEST={"NAME": env.str("LGSP_TEST_DATABASE", default=None), "TEMPLATE": "template0", "CHARSET": "UTF8"},
    OPTIONS={
        **DATABASES["default"].get("OPTIONS", {}),
        # Nobody waits for a stuck lock holder longer than this (CC-07). Lists join many small tables: on a server with jit
        # on (the default) compiling such a query took seconds, running it milliseconds. Reading a row by its key costs what it
        # does where a database is in memory or on an SSD; and no page starts more processes to read twenty-five rows.
        "options": "-c lock_timeout=5000 -c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000 -c jit=off"
        " -c random_page_cost=1.1 -c parallel_setup_cost=10000",
    },
)
if env.bool("LGSP_DB_POOL", default=False):
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": env.int("LGSP_DB_POOL_SIZE", default=8)}

# --- people -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "rules.permissions.ObjectPermissionBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if LGSP_ENV == "test":
    # Hashing is slow on purpose; a test run makes hundreds of people.
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = reverse_lazy("home")
LOGOUT_REDIRECT_URL = reverse_lazy("account_login")
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_RATE_LIMITS = {
    # Five failures shut one account for five minutes. The limits per address are wide: a whole agency sits behind one,
    # and nobody there may lock their colleagues out (AN-06).
    "login_failed": "5/5m/key,100/m/ip",
    "login": "300/m/ip",
    "reset_password": "100/m/ip,5/m/key",
}
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("LGSP_PROXY_COUNT", default=0)
"""How many proxies of ours stand before the portal: only their entries of X-Forwarded-For are believed."""
SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CACHES = {
    # Login throttles must hold across worker processes: the database is the one store all of them share.
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "core_cache"},
}

# --- transport security -------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if IS_PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # asked by the machine itself, over plain HTTP
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    if env.bool("LGSP_BEHIND_PROXY", default=True):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
ADMIN_CSP = {"script-src": [SELF, "'unsafe-eval'"], "style-src": [SELF, "'unsafe-inline'"]}
"""What unfold's Alpine needs, sent on unfold's own pages only (`apps.portal.site`); the daily pages stay strict."""
DOCS_CSP = {"style-src": [SELF, "'unsafe-inline'"]}
"""What the offline API viewer needs, on its own page only."""

UNFOLD = {
    "SITE_TITLE": "LGSP",
    "SITE_HEADER": "LGSP",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("portal/icon.svg")}],
    "SHOW_VIEW_ON_SITE": False,
    "THEME": "light",
    "STYLES": [
        lambda request: static("portal/fonts/fonts.css"),
        lambda request: static("portal/shell.css"),
    ],
    "SCRIPTS": [lambda request: static("portal/portal.js")],
    "COLORS": {
        "primary": {
            "50": "#f0f6fc", "100": "#dfebf8", "200": "#bcd5ef", "300": "#8fb7e2", "400": "#4f8fd0", "500": "#1d68b8",
            "600": "#16579c", "700": "#12467f", "800": "#0f3a69", "900": "#0d2f57", "950": "#081d37",
        }
    },
}  # fmt: skip
"""The look of unfold's own pages; the menu is the shell's (`apps.portal.shell`)."""

# --- language, time -----------------------------------------------------------------------------

LANGUAGE_CODE = "vi"
LANGUAGES = [("vi", _("Vietnamese")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Ho_Chi_Minh"
FORMAT_MODULE_PATH = ["lgsp.formats"]
# unfold's range filter reads this setting, not the locale's formats: 05/12/2026 is the fifth of December.
DATE_INPUT_FORMATS = ["%d/%m/%Y", "%Y-%m-%d"]
DATETIME_INPUT_FORMATS = ["%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M"]

# --- static files -------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not IS_PRODUCTION
WHITENOISE_AUTOREFRESH = LGSP_ENV == "test"
"""A test client makes the middleware anew each time, and listing every static file was half the cost of a request."""
DOCUMENT_PLACE = env.str("LGSP_DOCUMENT_PLACE", default="")  # place name before the date of official documents (NĐ 30/2020)
SIGNATURE_ROOTS = env.str("LGSP_SIGNATURE_ROOTS", default="")
"""Folder with the root certificates (PEM or DER) of signed documents; without it no uploaded signature is accepted."""
MEDIA_ROOT = env.str("LGSP_MEDIA", default=str(VAR_DIR / "media"))

# --- API ----------------------------------------------------------------------------------------

WATCHED_DISKS = env.list("LGSP_WATCH_DISKS", default=[str(VAR_DIR)])
"""Folders whose disk portal and gateway watch."""
TRUSTED_PROXIES = frozenset(env.list("LGSP_TRUSTED_PROXIES", default=[]))
"""Addresses of the proxies in front; from everybody else a header that names the client's address counts for nothing."""
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.core.api.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.core.api.permissions.DenyAll"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.api.parsers.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "apps.core.api.schema.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "apps.core.api.problems.exception_handler",
    "DEFAULT_THROTTLE_RATES": {"anon": "120/min", "dear": "20/min"},
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LGSP API",
    "DESCRIPTION": "Requests, agreements, services, organizations and shared catalogs of the provincial platform.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "OrganizationKind": "apps.organizations.choices.OrganizationKind",
        "OrganizationStatus": "apps.organizations.choices.OrganizationStatus",
        "SystemKind": "apps.organizations.choices.SystemKind",
        "Role": "apps.organizations.choices.Role",
        "ServiceStatus": "apps.registry.choices.ServiceStatus",  # and of systems: the same three
        "FeedbackStatus": "apps.registry.choices.FeedbackStatus",
        "HttpMethod": "apps.registry.choices.Method",
        "SharingMethod": "apps.connections.choices.SharingMethod",
        "UpstreamAuth": "apps.registry.choices.UpstreamAuth",
        "AuthKind": "apps.core.upstream_auth.AuthKind",
        "VersionStatus": "apps.registry.choices.VersionStatus",
        "ConnectionKind": "apps.registry.choices.ConnectionKind",
        "FieldType": "apps.registry.choices.FieldType",
        "Environment": "apps.registry.choices.Environment",
        "CatalogReleaseStatus": "apps.catalogs.choices.ReleaseStatus",
        "CatalogHoldReason": "apps.catalogs.choices.HoldReason",
        "CatalogWebhookStatus": "apps.catalogs.choices.WebhookStatus",
        "TranslateResult": "apps.catalogs.choices.TranslateResult",
        "CrosswalkResult": "apps.catalogs.choices.CrosswalkResult",
        "CrosswalkRelation": "apps.catalogs.choices.Relation",
        "SuccessionKind": "apps.catalogs.choices.SuccessionKind",
        "SuccessionShare": "apps.catalogs.choices.Share",
        "RequestStatus": "apps.connections.choices.RequestStatus",
        "RequestKind": "apps.connections.choices.RequestKind",
        "AttachmentKind": "apps.connections.choices.AttachmentKind",
        "Channel": "apps.connections.choices.Channel",
        "DecisionStatus": "apps.connections.choices.DecisionStatus",
        "AgreementStatus": "apps.agreements.choices.AgreementStatus",
        "VersionState": "apps.agreements.choices.VersionState",
        "PartySide": "apps.agreements.choices.Side",
        "SignatureBasis": "apps.agreements.choices.SignatureBasis",
        "SuspensionKind": "apps.agreements.choices.SuspensionKind",
        "TerminationGround": "apps.agreements.choices.TerminationGround",
        "GrantStatus": "apps.agreements.choices.GrantStatus",
        "AcceptanceStatus": "apps.agreements.choices.AcceptanceStatus",
        "CredentialStatus": "apps.agreements.choices.CredentialStatus",
        "DisputeCategory": "apps.disputes.choices.DisputeCategory",
        "DisputeStatus": "apps.disputes.choices.DisputeStatus",
        "TicketKind": "apps.disputes.choices.TicketKind",
        "TicketStatus": "apps.disputes.choices.TicketStatus",
        "DutyKind": "apps.agreements.choices.DutyKind",
        "RunStatus": "apps.sync.choices.RunStatus",
    },
}

# --- outbound addresses -------------------------------------------------------------------------

EGRESS_ALLOW = env.list("LGSP_EGRESS_ALLOW", default=[])
"""`host:port` or `CIDR:port` the platform may call. Private and loopback addresses are refused unless named here."""
OUTBOUND_CA_FILE = env.str("LGSP_CA_FILE", default="")
"""PEM file of the authorities that sign upstream certificates (the government's own CA); empty: the public ones."""

# --- background work ----------------------------------------------------------------------------

CELERY_BROKER_URL = broker_url() or "filesystem://"
CELERY_BROKER_FOLDER = VAR_DIR / "broker"
CELERY_TASK_DEFAULT_QUEUE = env.str("LGSP_CELERY_QUEUE", default="lgsp")
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = env.int("LGSP_TASK_SECONDS", default=900)
"""After so many seconds the child of a worker that hangs is killed; shortly before, its task is asked to end."""
CELERY_TASK_SOFT_TIME_LIMIT = CELERY_TASK_TIME_LIMIT * 14 // 15
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_ALWAYS_EAGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if CELERY_BROKER_URL.startswith("filesystem"):
    private_folder(CELERY_BROKER_FOLDER)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": private_folder(CELERY_BROKER_FOLDER / "messages"),
        "data_folder_out": private_folder(CELERY_BROKER_FOLDER / "messages"),
        "control_folder": private_folder(CELERY_BROKER_FOLDER / "control"),
        "polling_interval": 0.1,
    }
else:
    # Tried once, with short time-outs: a verb that wakes a worker must not wait for a broker that is down. The worker
    # itself connects again for ever (CELERY_BROKER_CONNECTION_RETRY).
    CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 0, "interval_start": 0}
    CELERY_BROKER_CONNECTION_TIMEOUT = 3
    CELERY_BROKER_CONNECTION_MAX_RETRIES = None
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS |= {
        "visibility_timeout": 4 * CELERY_TASK_TIME_LIMIT,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
    }

SANDBOX_URL = env.str("LGSP_SANDBOX_URL", default="http://127.0.0.1:8002")
SANDBOX_KEY, SANDBOX_SECRET = env.str("LGSP_SANDBOX_KEY", default=""), env.str("LGSP_SANDBOX_SECRET", default="")
"""Where the demonstration's sources find the sandbox; unused in production."""
SYNC_LEASE_SECONDS = env.int("LGSP_SYNC_LEASE_SECONDS", default=60)
"""How long a sync run stays its worker's without a heartbeat."""
SYNC_RUN_SECONDS = CELERY_TASK_TIME_LIMIT * 13 // 15
"""How long a heartbeat is given at most: a hung run loses its lease before the worker's own limits end it."""
SYNC_BACKOFF_SECONDS = env.float("LGSP_SYNC_BACKOFF_SECONDS", default=30)
"""First wait before a failed sync run is tried again; it doubles, with jitter."""
SYNC_ATTEMPTS = env.int("LGSP_SYNC_ATTEMPTS", default=8)
"""How often a run is tried before it fails for good (the next one comes by its schedule)."""
TICK_SECONDS = env.float("LGSP_TICK_SECONDS", default=15)
"""How often the schedule looks for runs that are due; the outbox is looked at half as often."""
CELERY_BEAT_SCHEDULE = {
    "sync.tick": {"task": "sync.tick", "schedule": TICK_SECONDS, "options": {"expires": 60}},
    "notices.deliver_outbox": {"task": "notices.deliver_outbox", "schedule": 2 * TICK_SECONDS, "options": {"expires": 30}},
    "notices.keep_house": {"task": "notices.keep_house", "schedule": 6 * 3600, "options": {"expires": 3600}},
    "gateway.sweep_calls": {"task": "gateway.sweep_calls", "schedule": 20, "options": {"expires": 20}},
    "gateway.look_for_silence": {"task": "gateway.look_for_silence", "schedule": 300, "options": {"expires": 300}},
    "gateway.keep_code_tables": {"task": "gateway.keep_code_tables", "schedule": 60, "options": {"expires": 60}},
    "gateway.keep_house": {"task": "gateway.keep_house", "schedule": 6 * 3600, "options": {"expires": 3600}},
    "connections.clock": {"task": "connections.clock", "schedule": 60.0, "options": {"expires": 60}},
    "registry.clock": {"task": "registry.clock", "schedule": 60.0, "options": {"expires": 60}},
    "disputes.clock": {"task": "disputes.clock", "schedule": 300.0, "options": {"expires": 60}},
    "agreements.clock": {"task": "agreements.clock", "schedule": 60.0, "options": {"expires": 60}},
}
"""One static entry an app: what is due is decided by rows. A message that waited too long is dropped (FI-26)."""

# --- mail, logging ------------------------------------------------------------------------------

EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend" if IS_PRODUCTION else "django.core.mail.backends.filebased.EmailBackend"
)
OUTBOX_DAYS = env.int("LGSP_OUTBOX_DAYS", default=90)
"""How long a message that left or was given up is kept: it holds an address, and what it told stays a notice in the portal."""
EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_TIMEOUT = 20
"""Seconds a mail server may be silent: much less than the lease of an outgoing message."""
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="lgsp@localhost")
if env.str("EMAIL_URL", default=""):
    globals().update(env.email_url("EMAIL_URL"))

LOG_FORMAT = "json" if env.str("LOG_FORMAT", default="line") == "json" else "line"
"""How a log line looks: `line` for people, `json` for collectors."""
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "apps.core.logs.RequestIdFilter"}},
    "formatters": {"line": {"()": "apps.core.logs.LineFormatter"}, "json": {"()": "apps.core.logs.JsonFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["request_id"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING" if LGSP_ENV == "test" else "INFO")},
    "loggers": {
        # A line for every message received and every task done says nothing that the rows do not; failures still speak.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "kombu.connection": {"level": "ERROR"},
    },
}
