"""The scoreboard: what proxies do with a canary, not what they cost."""
