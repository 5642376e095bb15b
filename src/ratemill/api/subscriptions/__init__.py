"""Subscription objects over HTTP: lists, single objects, imports."""
