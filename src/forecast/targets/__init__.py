"""Targets: quotas as stored, how far they are reached, and proposals that divide a company's target."""
