"""The same mails by django-post_office and by Celery, each at the settings that suit it best."""
