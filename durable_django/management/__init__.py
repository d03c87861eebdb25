"""``manage.py durable <verb>``: one file a verb in ``verbs``; what several of them need stands beside it.

In: options and rows. Out: lines for people, or JSON. May import everything but the admin and the API.
"""
