"""Subscription objects, and the accounts and services that subscriptions become."""
