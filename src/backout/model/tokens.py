"""What a secret looks like that says by its own beginning what it is, as its issuer documents it. Pure."""

from __future__ import annotations

TOKENS = {
    "1Password": ("ops_eyj", r"ops_eyJ[\w+/=-]{40,}"),
    "age": ("age-secret-key-", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    "Atlassian": ("atatt3x", r"ATATT3x[\w=-]{40,}"),
    "AWS": ("akia", r"AKIA[A-Z0-9]{16}"),
    "AWS, temporary": ("asia", r"ASIA[A-Z0-9]{16}"),
    "Bitbucket": ("atbb", r"ATBB[A-Za-z0-9]{24,}"),
    "Brevo": ("xkeysib-", r"xkeysib-[\w-]{40,}"),
    "Buildkite": ("bkua_", r"bkua_[a-z0-9]{32,}"),
    "CircleCI": ("ccipat_", r"CCIPAT_\w{30,}"),
    "Databricks": ("dapi", r"dapi[a-f0-9]{32}(?:-\d)?"),
    "DigitalOcean": ("dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[a-f0-9]{40,}"),
    "Docker": ("dckr_", r"dckr_(?:pat|oat)_[\w-]{20,}"),
    "Doppler": ("dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]+\.)?[A-Za-z0-9]{36,}"),
    "Fly": ("fm1 fm2", r"fm[12][ar]?_[\w+/=-]{40,}"),
    "GitHub": ("ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{20,}"),
    "GitHub, fine-grained": ("github_pat_", r"github_pat_\w{20,}"),
    "GitLab": (
        "glpat- glptt- gldt- glrt- glrtr- glcbt- glft- glsoat- glagent- glimt- gloas- glffct- glwt-",
        r"gl(?:pat|ptt|dt|rt|rtr|cbt|ft|soat|agent|imt|oas|ffct|wt)-[\w.-]{16,}",
    ),
    "GitLab, runners": ("gr1348941", r"GR1348941[\w-]{16,}"),
    "Google": ("aiza", r"AIza[\w-]{30,}"),
    "Google, access": ("ya29.", r"ya29\.[\w-]{20,}"),
    "Google, OAuth client": ("gocspx-", r"GOCSPX-[\w-]{20,}"),
    "Grafana": ("glc_ glsa_", r"gl(?:c_[A-Za-z0-9+/]{32,}={0,2}|sa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8})"),
    "Groq": ("gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    "HashiCorp Terraform": (".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{50,}"),
    "HashiCorp Vault": ("hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{24,}"),
    "Heroku": ("hrku-", r"HRKU-[\w-]{30,}"),
    "Hugging Face": ("hf_", r"hf_[A-Za-z]{30,}"),
    "a JSON Web Token": ("eyj", r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]*"),
    "Linear": ("lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    "Mailgun": ("key-", r"key-[a-f0-9]{32}"),
    "Mailchimp": ("-us", r"[a-f0-9]{32}-us\d{1,2}"),
    "Netlify": ("nfp_", r"nfp_[A-Za-z0-9]{36,}"),
    "New Relic": ("nrak-", r"NRAK-[A-Z0-9]{27}"),
    "Notion": ("ntn_", r"ntn_[A-Za-z0-9]{40,}"),
    "npm": ("npm_", r"npm_\w{30,}"),
    "OpenAI and others": ("sk-", r"sk-[\w-]{20,}"),
    "PlanetScale": ("pscale_", r"pscale_(?:tkn|pw|oauth)_[\w.=-]{30,}"),
    "Postman": ("pmak-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    "Pulumi": ("pul-", r"pul-[a-f0-9]{40}"),
    "PyPI": ("pypi-", r"pypi-[\w-]{40,}"),
    "RubyGems": ("rubygems_", r"rubygems_[a-f0-9]{40,}"),
    "SendGrid": ("sg.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    "Sentry": ("sntry", r"sntry[su]_[\w+/=-]{40,}"),
    "Shopify": ("shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    "Slack": ("xox", r"xox[abeoprs]-[\w-]{10,}"),
    "Slack, applications": ("xapp-", r"xapp-\d-[\w-]{20,}"),
    "Square": ("sq0", r"sq0(?:atp|csp)-[\w-]{22,}"),
    "Stripe": ("k_live_", r"[rs]k_live_\w{10,}"),
    "Stripe, test": ("k_test_", r"[rs]k_test_\w{10,}"),
    "Stripe, webhooks": ("whsec_", r"whsec_[\w+/=-]{24,}"),
    "Supabase": ("sbp_ sb_secret_", r"sb(?:p_[a-f0-9]{40}|_secret_[\w-]{20,})"),
    "Tailscale": ("tskey-", r"tskey-[a-z]+-[\w-]{16,}"),
    "Telegram": (":aa", r"\d{8,10}:AA[\w-]{32,34}"),
    "a password's hash": (
        "$1$ $5$ $6$ $2a$ $2b$ $2x$ $2y$ $y$ $gy$ $7$ $argon2",
        r"\$(?:[156]|2[abxy]|y|gy|7|argon2(?:id|i|d))\$[\w./+=,$-]{20,}[\w/+=]",
    ),
    "a password's hash, by Django": ("pbkdf2_", r"pbkdf2_sha\d+\$\d+\$[\w./+=$-]{20,}"),
    "Microsoft Entra": ("q~", r"[\w.~-]{3}\dQ~[\w.~-]{31,}"),
}
"""Whose it is -> words of which it has one in it, in small letters, and its pattern."""

HOOKS = (
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/"
    r"|\.webhook\.office\.com/webhookb2/|api\.telegram\.org/bot)[\w.:@/-]+"
)
"""Addresses at which whoever knows them may post: Slack, Discord, Microsoft Teams, Telegram."""
