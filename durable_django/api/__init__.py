"""The HTTP API: events come in, runs are looked at and operated; nothing but HTTP.

In: requests. Out: calls of the engine, and their results or errors as JSON. ``urls`` may be included at any
prefix; unchanged Inngest clients need it at the root of an origin. ``ingest`` and ``webhooks`` take events,
the other views are ``/v1/``. Each view says itself who may come in; nothing is left to the project's
defaults of Django REST framework.
"""
