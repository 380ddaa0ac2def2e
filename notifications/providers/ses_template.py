"""SendEmail with a template that Amazon SES keeps.

Anymail would use SendBulkEmail, which answers for each entry by itself and with codes of its own; one
message to one address needs neither.
"""

from __future__ import annotations

from typing import Any

from anymail.backends.amazon_ses import AmazonSESBasePayload, AmazonSESV2SendEmailPayload
from typing_extensions import override


class TemplatePayload(AmazonSESV2SendEmailPayload):  # type: ignore[misc]
    """A mail with `template_id`; its variables are `merge_global_data`."""

    @override
    def init_payload(self) -> None:
        AmazonSESBasePayload.init_payload(self)  # not SendEmail's: there is nothing to write
        self.all_recipients: list[Any] = []
        self._template: dict[str, Any] = {"TemplateData": "{}"}

    @override
    def finalize_payload(self) -> None:
        self.params["Content"] = {"Template": self._template}

    @override
    def set_from_email(self, email: Any) -> None:
        self.params["FromEmailAddress"] = self._text(email)

    @override
    def set_reply_to(self, emails: Any) -> None:
        self.params["ReplyToAddresses"] = [self._text(email) for email in emails]

    @override
    def set_extra_headers(self, headers: Any) -> None:
        self._template["Headers"] = [
            {"Name": name, "Value": value}
            for name, value in headers.items()
            if name.lower() != "message-id"  # SES always has its own
        ]

    @override
    def set_attachments(self, attachments: Any) -> None:
        if attachments:
            self.unsupported_feature("attachments with template_id")

    @override
    def set_template_id(self, template_id: Any) -> None:
        self._template["TemplateName"] = template_id

    @override
    def set_merge_global_data(self, merge_global_data: Any) -> None:
        self._template["TemplateData"] = self.serialize_json(merge_global_data)

    def _text(self, email: Any) -> Any:
        return email.format(use_rfc2047=True, idna_encode=self.backend.idna_encode)
