"""Other job queues, one module each: the application as its documentation shows it, and how it is started.

Their settings are their defaults, results included: RQ, Huey and SAQ keep them, Celery, Dramatiq and taskiq
keep none unless told to. The address comes from the environment, read when the module is imported: a peer's
own command imports its application by name and tells it nothing else.
"""
