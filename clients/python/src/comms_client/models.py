"""What goes in and comes out. Made by `generate.py` from the service's description: not to be edited."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class AcceptedDelivery(TypedDict):
    """…"""

    id: str | None
    channel: ChannelEnum
    to: str
    status: StatusEnum
    reason: str
    segments: NotRequired[int]
    cost: NotRequired[str | None]
    trace: NotRequired[TraceOutput]


class AcceptedOutput(TypedDict):
    """The answer to `POST /notifications`. `id` is null in a dry run."""

    id: str | None
    status: StatusEnum
    deliveries: list[AcceptedDelivery]
    batch: NotRequired[str]


class AcknowledgeInput(TypedDict):
    """`POST /alerts/{id}/acknowledge`."""

    note: NotRequired[str]


class ActInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    id: str
    action: str


class ActionInput(TypedDict):
    """A button of a message in the inbox. One with a link leads there; any other is an answer."""

    key: str
    label: str
    link: NotRequired[str]
    style: NotRequired[StyleEnum]


class AddressInput(TypedDict):
    """`POST /recipients/{user_id}/addresses`: one of the two."""

    email: NotRequired[str]
    phone: NotRequired[str]
    verified: NotRequired[bool]


class AddressOutput(TypedDict):
    """An email address or a phone number."""

    id: str
    channel: ChannelEnum
    value: str
    verified_at: NotRequired[str | None]
    created_at: str


class AddressPage(TypedDict):
    """…"""

    results: list[AddressOutput]
    next: str | None
    previous: str | None


class AgentOutput(TypedDict):
    """Counts are deliveries; each is in one of the first five."""

    depth: int
    in_flight: int
    throttled: int
    later: int
    held: int
    oldest_seconds: float
    throttled_seconds: float
    name: str
    last_minute: MinuteOutput


class AlertOutput(TypedDict):
    """Something that is wrong, or was until `resolved_at`."""

    id: str
    key: str
    severity: SeverityEnum
    title: str
    detail: NotRequired[str]
    raised_at: NotRequired[str]
    seen_at: NotRequired[str]
    resolved_at: NotRequired[str | None]
    acknowledged_at: NotRequired[str | None]
    acknowledged_by: str
    note: NotRequired[str]


class AlertPage(TypedDict):
    """…"""

    results: list[AlertOutput]
    next: str | None
    previous: str | None


class AnalyticsLeader(TypedDict):
    """…"""

    key: str
    name: str
    figures: FiguresOutput


class AnalyticsSeries(TypedDict):
    """…"""

    granularity: GranularityEnum
    results: list[AnalyticsStep]


class AnalyticsStep(TypedDict):
    """…"""

    at: str
    figures: FiguresOutput


class AnalyticsTop(TypedDict):
    """…"""

    by: ByEnum
    results: list[AnalyticsLeader]


class AnnouncementInput(TypedDict):
    """`POST /announcements`; `PATCH` takes any of them."""

    to: AudienceInput
    title: str
    body: NotRequired[str]
    link: NotRequired[str]
    image: NotRequired[str]
    actions: NotRequired[list[ActionInput]]
    data: NotRequired[dict[str, str]]
    category: NotRequired[str]
    tags: NotRequired[list[str]]
    priority: NotRequired[AnnouncementPriorityEnum]
    banner: NotRequired[bool]
    starts_at: NotRequired[str]
    ends_at: NotRequired[str]


class AnnouncementOutput(TypedDict):
    """An announcement. `shown` is what people get, until they do something with it."""

    id: str
    state: AnnouncementStateEnum
    to: AudienceOutput
    starts_at: NotRequired[str]
    ends_at: str
    created_at: str
    shown: ItemOutput


class AnnouncementPage(TypedDict):
    """…"""

    results: list[AnnouncementOutput]
    next: str | None
    previous: str | None


AnnouncementPriorityEnum: TypeAlias = Literal["normal", "high"]


AnnouncementStateEnum: TypeAlias = Literal["draft", "published", "live", "ended"]


AnswerEnum: TypeAlias = Literal[
    "accept", "throttle", "error", "hang", "reset", "accept_then_error", "refuse"
]


class ArmOutput(TypedDict):
    """What came of one variant's messages; all but `people` are counts of messages."""

    name: str
    version: int
    weight: int
    assigned: int
    delivered: int
    opened: int
    clicked: int
    converted: int
    people: int
    value: str
    rate: float
    low: float
    high: float


class AssignInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    assignee: str | None


class AttachmentInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    filename: str
    content: str
    content_type: NotRequired[str]


class AttachmentOutput(TypedDict):
    """A file, of a type that its content has."""

    id: str
    name: str
    media_type: str
    size: int
    width: int | None
    height: int | None
    has_thumbnail: bool


class AttemptOutput(TypedDict):
    """…"""

    id: str
    number: int
    provider: str
    state: NotRequired[AttemptOutputStateEnum]
    error_class: ErrorClassEnum | BlankEnum
    code: NotRequired[str]
    detail: NotRequired[str]
    http_status: NotRequired[int | None]
    provider_ref: NotRequired[str]
    segments: NotRequired[int | None]
    cost: NotRequired[str | None]
    started_at: NotRequired[str]
    ended_at: NotRequired[str | None]


AttemptOutputStateEnum: TypeAlias = Literal[
    "calling", "accepted", "rejected", "throttled", "failed", "unknown"
]


class AudienceInput(TypedDict):
    """Exactly one of them."""

    all: NotRequired[bool]
    user_ids: NotRequired[list[str]]
    topic: NotRequired[str]


class AudienceOutput(TypedDict):
    """…"""

    all: NotRequired[bool]
    user_ids: NotRequired[list[str]]
    topic: NotRequired[str]


class BatchOutput(TypedDict):
    """A batch and how far it got. Needs `counts` of its batches in the context."""

    id: str
    state: BatchStateEnum
    reason: NotRequired[str]
    received: NotRequired[int]
    accepted: int
    rejected: NotRequired[int]
    counts: dict[str, int]
    progress: float
    template: NotRequired[str]
    category: NotRequired[str]
    channels: NotRequired[list[ChannelEnum]]
    priority: PriorityEnum
    locale: NotRequired[str]
    agent_id: NotRequired[str]
    reference: NotRequired[str]
    tags: NotRequired[list[str]]
    metadata: NotRequired[Any]
    pace: NotRequired[float | None]
    canary: CanaryOutput | None
    canary_until: str | None
    send_at: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    created_at: str
    started_at: NotRequired[str | None]
    finished_at: NotRequired[str | None]


class BatchPage(TypedDict):
    """…"""

    results: list[BatchOutput]
    next: str | None
    previous: str | None


BatchStateEnum: TypeAlias = Literal[
    "receiving", "awaiting_approval", "running", "paused", "halted", "done", "cancelled", "aborted"
]


BlankEnum: TypeAlias = Literal[""]


class BounceOutput(TypedDict):
    """A bounce or complaint, in the provider's words."""

    id: str
    delivery_id: str
    channel: ChannelEnum
    address_hash: str
    category: NotRequired[str]
    sender: NotRequired[str]
    kind: BounceOutputKindEnum
    provider: str
    code: NotRequired[str]
    detail: NotRequired[str]
    at: str


BounceOutputKindEnum: TypeAlias = Literal["hard", "soft", "block", "complaint"]


class BouncePage(TypedDict):
    """…"""

    results: list[BounceOutput]
    next: str | None
    previous: str | None


class BreakerOutput(TypedDict):
    """…"""

    state: str
    failures: int
    until: str | None
    reason: str


class BundleInput(TypedDict):
    """`POST /templates/import`."""

    templates: list[Any]
    publish: NotRequired[bool]
    prune: NotRequired[bool]
    dry_run: NotRequired[bool]


class BundleOutput(TypedDict):
    """…"""

    templates: list[DocumentOutput]


ByEnum: TypeAlias = Literal[
    "channel", "provider", "agent", "category", "template", "version", "variant", "country", "batch"
]


class CanaryInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    percent: float
    wait: float
    max_failures: float


class CanaryOutput(TypedDict):
    """`tried`, `failed` and `passed` are there once it was judged."""

    percent: float
    wait: float
    max_failures: float
    tried: NotRequired[int]
    failed: NotRequired[int]
    passed: NotRequired[bool]


class CancelledDelivery(TypedDict):
    """One delivery after a cancel, and what the cancel came to."""

    id: str
    channel: ChannelEnum
    to: str
    status: StatusEnum
    reason: str
    outcome: OutcomeEnum
    detail: str


class CancelledOutput(TypedDict):
    """The answer to `POST /notifications/{id}/cancel`."""

    id: str
    status: StatusEnum
    deliveries: list[CancelledDelivery]


class CategoryInput(TypedDict):
    """`POST /categories`."""

    name: str
    kind: CategoryKindEnum
    on_unknown: NotRequired[OnUnknownEnum]
    long_text: NotRequired[LongTextEnum]
    is_optional: NotRequired[bool]
    is_opt_in: NotRequired[bool]
    needs_confirmation: NotRequired[bool]
    channels: NotRequired[list[ChannelEnum]]
    fallback: NotRequired[list[dict[str, Any]]]
    quiet: NotRequired[QuietEnum]
    spares_watchers: NotRequired[bool]
    daily_cap: NotRequired[int | None]
    digest_minutes: NotRequired[int | None]
    digest_first_at_once: NotRequired[bool]
    track_opens: NotRequired[bool]
    track_clicks: NotRequired[bool]
    content_days: NotRequired[int]
    inbox_days: NotRequired[int]
    is_sensitive: NotRequired[bool]
    is_paused: NotRequired[bool]
    key: str


CategoryKindEnum: TypeAlias = Literal["essential", "transactional", "marketing"]


class CategoryOutput(TypedDict):
    """What messages are about, with the rules for them."""

    key: str
    name: str
    kind: CategoryKindEnum
    on_unknown: OnUnknownEnum
    long_text: LongTextEnum
    is_optional: NotRequired[bool]
    is_opt_in: NotRequired[bool]
    needs_confirmation: NotRequired[bool]
    channels: NotRequired[list[ChannelEnum]]
    fallback: NotRequired[Any]
    quiet: QuietEnum
    spares_watchers: NotRequired[bool]
    daily_cap: NotRequired[int | None]
    digest_minutes: NotRequired[int | None]
    digest_first_at_once: NotRequired[bool]
    content_days: NotRequired[int]
    inbox_days: NotRequired[int]
    is_sensitive: NotRequired[bool]
    track_opens: NotRequired[bool]
    track_clicks: NotRequired[bool]
    is_paused: NotRequired[bool]
    pause_reason: str
    created_at: str


class CategoryPage(TypedDict):
    """…"""

    results: list[CategoryOutput]
    next: str | None
    previous: str | None


class ChangeInput(TypedDict):
    """Which items: by their ids, or all there are."""

    ids: NotRequired[list[str]]
    all: NotRequired[bool]
    before: NotRequired[str]
    tag: NotRequired[str]


class ChangeOutput(TypedDict):
    """…"""

    at: NotRequired[str]
    was: str
    now: str
    reason: str


class ChangedOutput(TypedDict):
    """What a change came to."""

    changed: int
    more: bool
    unknown: list[str]
    counts: CountsOutput


ChannelEnum: TypeAlias = Literal["email", "sms", "push", "inapp"]


class ChannelsInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    email: NotRequired[EmailParts]
    sms: NotRequired[SmsParts]
    push: NotRequired[PushParts]
    inapp: NotRequired[InappParts]


class ChoiceInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    category: NotRequired[str]
    channel: NotRequired[ChannelEnum | BlankEnum]
    is_on: bool | None


class ChoiceOutput(TypedDict):
    """…"""

    category: str
    channel: str
    is_on: bool
    changed_at: NotRequired[str]


class ComparisonOutput(TypedDict):
    """The best variant beside another one."""

    name: str
    difference: float
    low: float
    high: float
    ratio_low: float
    ratio_high: float | None
    chance: float
    certain: bool


class ContentInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    subject: NotRequired[str]
    text: NotRequired[str]
    html: NotRequired[str]
    title: NotRequired[str]
    body: NotRequired[str]
    link: NotRequired[str]
    image: NotRequired[str]


ConversationChangeStatusEnum: TypeAlias = Literal["open", "pending", "closed"]


class ConversationInput(TypedDict):
    """`POST /conversations`."""

    kind: ConversationKindEnum
    participants: NotRequired[list[str]]
    title: NotRequired[str]


ConversationKindEnum: TypeAlias = Literal["direct", "group", "support"]


class ConversationOutput(TypedDict):
    """A conversation as you see it."""

    id: str
    kind: ConversationKindEnum
    title: str
    status: str
    assignee: str | None
    last_seq: int
    latest: EntryOutput | None
    participants: list[ParticipantOutput]
    me: MarksOutput | None
    active_at: str
    created_at: str


class ConversationPage(TypedDict):
    """…"""

    results: list[ConversationOutput]
    next: str | None
    previous: str | None


class ConvertInput(TypedDict):
    """`POST /notifications/{id}/convert`."""

    value: NotRequired[str]


class ConvertedOutput(TypedDict):
    """The first conversion of a notification."""

    id: str
    value: NotRequired[str | None]
    experiment: str | None
    variant: NotRequired[str]
    converted_at: str


class CountsOutput(TypedDict):
    """…"""

    unseen: int
    unread: int
    snoozed: int
    tags: dict[str, TagCounts]
    seq: NumbersOutput


class DeadLetterDetail(TypedDict):
    """With what a replay says, and the delivery's whole story."""

    id: str
    notification_id: str
    delivery_id: str
    batch_id: str | None
    channel: ChannelEnum
    to: str
    category: NotRequired[str]
    template: NotRequired[str]
    reference: str
    error_class: ErrorClassEnum | BlankEnum
    code: NotRequired[str]
    reason: str
    providers: NotRequired[list[str]]
    created_at: NotRequired[str]
    replayed_at: NotRequired[str | None]
    replayed_as: str | None
    data: dict[str, Any] | None
    delivery: DeliveryDetail


class DeadLetterFilter(TypedDict):
    """Which dead letters; a value that can match nothing is an error."""

    error_class: NotRequired[ErrorClassEnum]
    code: NotRequired[str]
    provider: NotRequired[str]
    channel: NotRequired[ChannelEnum]
    category: NotRequired[str]
    template: NotRequired[str]
    batch: NotRequired[str]
    since: NotRequired[str]
    until: NotRequired[str]


class DeadLetterOutput(TypedDict):
    """A dead letter in a list. `to` is where a replay goes."""

    id: str
    notification_id: str
    delivery_id: str
    batch_id: str | None
    channel: ChannelEnum
    to: str
    category: NotRequired[str]
    template: NotRequired[str]
    reference: str
    error_class: ErrorClassEnum | BlankEnum
    code: NotRequired[str]
    reason: str
    providers: NotRequired[list[str]]
    created_at: NotRequired[str]
    replayed_at: NotRequired[str | None]
    replayed_as: str | None


class DeadLetterPage(TypedDict):
    """…"""

    results: list[DeadLetterOutput]
    next: str | None
    previous: str | None


class DeliveryDetail(TypedDict):
    """One delivery with every call that was made for it and everything that happened to it."""

    id: str
    channel: ChannelEnum
    to: str
    status: StatusEnum
    reason: NotRequired[str]
    provider: NotRequired[str]
    attempts_made: NotRequired[int]
    replay_of: str | None
    created_at: NotRequired[str]
    updated_at: NotRequired[str]
    attempts: list[AttemptOutput]
    events: list[dict[str, Any]]


class DeliveryOutput(TypedDict):
    """One delivery in a list."""

    id: str
    channel: ChannelEnum
    to: str
    status: StatusEnum
    reason: NotRequired[str]
    provider: NotRequired[str]
    attempts_made: NotRequired[int]
    replay_of: str | None


class DeviceInput(TypedDict):
    """`POST /recipients/{user_id}/devices`."""

    platform: PlatformEnum
    token: NotRequired[str]
    subscription: NotRequired[SubscriptionInput]
    server_key: NotRequired[str]
    name: NotRequired[str]
    app: NotRequired[str]


class DeviceOutput(TypedDict):
    """A device. Nothing here tells how to reach it."""

    id: str
    platform: PlatformEnum
    name: NotRequired[str]
    app: NotRequired[str]
    registered_at: NotRequired[str]
    seen_at: NotRequired[str]
    removed_at: str | None
    reason: NotRequired[str]


class DevicePage(TypedDict):
    """…"""

    results: list[DeviceOutput]
    next: str | None
    previous: str | None


class DiffOutput(TypedDict):
    """…"""

    before: int
    after: int
    changes: list[PartChangeOutput]


class DocumentOutput(TypedDict):
    """A template as it was last written: its draft, else the version in use."""

    key: str
    name: str
    kind: TemplateKindEnum
    locale: str
    layout: str
    null_is: NullIsEnum
    samples: list[dict[str, Any]]
    schema: dict[str, Any]
    hosted: dict[str, Any]
    channels: dict[str, dict[str, str]]
    translations: dict[str, dict[str, Any]]


class EmailParts(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    subject: NotRequired[str]
    preheader: NotRequired[str]
    text: NotRequired[str]
    html: NotRequired[str]
    mjml: NotRequired[str]


class EndpointInput(TypedDict):
    """`POST /webhook-endpoints`."""

    url: str
    description: NotRequired[str]
    events: NotRequired[list[str]]
    is_active: NotRequired[bool]


class EndpointMade(TypedDict):
    """The only answers with a secret: to its making and to its rotation."""

    id: str
    url: str
    description: NotRequired[str]
    events: NotRequired[list[str]]
    is_active: NotRequired[bool]
    disabled_reason: str
    failing_since: str | None
    created_at: str
    secret: str


class EndpointOutput(TypedDict):
    """Somebody's address that hears of events."""

    id: str
    url: str
    description: NotRequired[str]
    events: NotRequired[list[str]]
    is_active: NotRequired[bool]
    disabled_reason: str
    failing_since: str | None
    created_at: str


class EndpointPage(TypedDict):
    """…"""

    results: list[EndpointOutput]
    next: str | None
    previous: str | None


class EntryInput(TypedDict):
    """`POST /conversations/{id}/entries`."""

    body: NotRequired[str]
    client_id: NotRequired[str]
    reply_to: NotRequired[str | None]
    mentions: NotRequired[list[str]]
    attachments: NotRequired[list[str]]


EntryKindEnum: TypeAlias = Literal["text", "system"]


class EntryOfConversation(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    entry: str


class EntryOutput(TypedDict):
    """Something written, or a note of what happened."""

    id: str
    conversation: str
    seq: int
    changed_seq: int
    kind: EntryKindEnum
    author: SomebodyOutput
    medium: MediumEnum
    client_id: str
    body: str
    html: str
    event: dict[str, Any] | None
    reply_to: QuoteOutput | None
    mentions: list[str]
    reactions: list[ReactionOutput]
    attachments: list[AttachmentOutput]
    pinned_at: str | None
    created_at: str
    edited_at: str | None
    deleted_at: str | None


ErrorClassEnum: TypeAlias = Literal[
    "permanent_recipient", "permanent_message", "auth_config", "throttled", "temporary", "ambiguous"
]


class ExperimentInput(TypedDict):
    """`POST`."""

    name: str
    goal: GoalEnum
    variants: list[VariantInput]
    automatic: NotRequired[bool]


class ExperimentOutput(TypedDict):
    """…"""

    id: str
    template: str
    name: str
    goal: NotRequired[GoalEnum]
    automatic: bool
    state: NotRequired[ExperimentStateEnum]
    variants: list[VariantOutput]
    winner: NotRequired[str]
    decided_by: NotRequired[str]
    created_by: NotRequired[str]
    created_at: str
    started_at: str | None
    ended_at: str | None


class ExperimentPage(TypedDict):
    """…"""

    results: list[ExperimentOutput]
    next: str | None
    previous: str | None


ExperimentStateEnum: TypeAlias = Literal["draft", "running", "stopped", "decided"]


class ExplainedDelivery(TypedDict):
    """One delivery, and how it would be decided now."""

    id: str
    channel: ChannelEnum
    to: str
    status: StatusEnum
    reason: NotRequired[str]
    provider: NotRequired[str]
    attempts_made: NotRequired[int]
    replay_of: str | None
    trace: TraceOutput


class ExplainedOutput(TypedDict):
    """A notification, and why it goes out or does not."""

    id: str
    status: StatusEnum
    user_id: NotRequired[str]
    category: NotRequired[str]
    template: NotRequired[str]
    template_version: NotRequired[int | None]
    experiment: NotRequired[str | None]
    variant: NotRequired[str]
    locale: NotRequired[str]
    priority: PriorityEnum
    agent_id: NotRequired[str]
    reference: NotRequired[str]
    tags: NotRequired[list[str]]
    metadata: NotRequired[Any]
    send_at: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    created_at: NotRequired[str]
    deliveries: list[ExplainedDelivery]
    recipient: ExplainedRecipient | None


class ExplainedRecipient(TypedDict):
    """…"""

    locale: str
    time_zone: str


class FailedOutput(TypedDict):
    """Given up, by the class of the last error."""

    total: int
    other: int
    permanent_recipient: int
    permanent_message: int
    auth_config: int
    throttled: int
    temporary: int
    ambiguous: int


class FiguresOutput(TypedDict):
    """Deliveries: a message on two channels counts twice. Each is counted once at each
    station, in the hour in which it got there.
    """

    accepted: int
    suppressed: int
    expired: int
    cancelled: int
    calls: int
    calls_failed: int
    sent: int
    delivered: int
    unconfirmed: int
    bounced: int
    complained: int
    opened: int
    opened_machine: int
    clicked: int
    clicked_machine: int
    opted_out: int
    segments: int
    failed: FailedOutput
    cost: str
    handed: HandedOutput
    arrived: TimesOutput


class FindingOutput(TypedDict):
    """What one rule of the policy says."""

    rule: str
    answer: str
    reason: str
    until: str | None


class FoundOutput(TypedDict):
    """…"""

    entry: EntryOutput
    snippet: str


GoalEnum: TypeAlias = Literal["delivered", "opened", "clicked", "converted"]


GranularityEnum: TypeAlias = Literal["hour", "day", "week"]


class HandedOutput(TypedDict):
    """Until a provider took it."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    within_10s: float | None


class HistoryOutput(TypedDict):
    """A piece of a conversation, in order."""

    results: list[EntryOutput]
    next: str | None
    previous: str | None
    last_seq: int


class HostedInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    id: str
    variables: NotRequired[dict[str, str]]


class ImportedOutput(TypedDict):
    """…"""

    changes: list[ImportedTemplate]


class ImportedTemplate(TypedDict):
    """…"""

    key: str
    action: ImportedTemplateActionEnum
    published: int | None


ImportedTemplateActionEnum: TypeAlias = Literal["created", "changed", "unchanged", "archived"]


class InappParts(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    title: NotRequired[str]
    body: NotRequired[str]
    link: NotRequired[str]
    image: NotRequired[str]


class InboxPage(TypedDict):
    """…"""

    results: list[ItemOutput]
    next: str | None
    previous: str | None
    seq: NumbersOutput


class ItemAction(TypedDict):
    """…"""

    key: str
    label: str
    link: str
    style: StyleEnum
    pressed_at: str | None


class ItemOutput(TypedDict):
    """One item, of a message or of an announcement."""

    id: str
    kind: ItemOutputKindEnum
    place: PlaceEnum
    title: str
    body: str
    link: str
    image: str
    category: str
    tags: list[str]
    actions: list[ItemAction]
    data: dict[str, Any]
    priority: AnnouncementPriorityEnum
    banner: bool
    created_at: str
    shown_at: str
    seen_at: str | None
    read_at: str | None
    archived_at: str | None
    snoozed_until: str | None
    expires_at: str


ItemOutputKindEnum: TypeAlias = Literal["notification", "announcement"]


class JsonBatchInput(TypedDict):
    """For the schema: rows are checked one by one, and never as a whole."""

    channels: NotRequired[list[ChannelEnum]]
    template: NotRequired[str]
    content: NotRequired[ContentInput]
    data: NotRequired[dict[str, Any]]
    locale: NotRequired[str]
    category: NotRequired[str]
    priority: NotRequired[PriorityEnum]
    send_at: NotRequired[str]
    expires_at: NotRequired[str]
    agent_id: NotRequired[str]
    reference: NotRequired[str]
    tags: NotRequired[list[str]]
    reply_to: NotRequired[str]
    metadata: NotRequired[dict[str, str]]
    actions: NotRequired[list[ActionInput]]
    pace: NotRequired[float]
    canary: NotRequired[CanaryInput]
    approval: NotRequired[bool]
    rows: list[RowInput]


class KeysInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    p256dh: str
    auth: str


class LaneOutput(TypedDict):
    """Counts are deliveries; each is in one of the first five."""

    depth: int
    in_flight: int
    throttled: int
    later: int
    held: int
    oldest_seconds: float
    throttled_seconds: float
    lane: PriorityEnum
    suspects: int
    last_minute: MinuteOutput


class LastError(TypedDict):
    """Why the newest run sent nothing, or not all."""

    run: str
    code: str
    message: str


class LimitOutput(TypedDict):
    """…"""

    count: int
    seconds: float
    free: int
    promised_seconds: float


class LinksOutput(TypedDict):
    """A file with links that are yours, for five minutes."""

    id: str
    name: str
    media_type: str
    size: int
    width: int | None
    height: int | None
    has_thumbnail: bool
    url: str
    thumbnail_url: str | None
    expires_at: str


class LoadedPage(TypedDict):
    """…"""

    key: str
    action: LoadedPageActionEnum
    published: int | None
    notices: list[str]


LoadedPageActionEnum: TypeAlias = Literal["created", "changed", "unchanged"]


LongTextEnum: TypeAlias = Literal["split", "truncate", "refuse"]


class MarkInput(TypedDict):
    """`POST /conversations/{id}/read`."""

    seq: NotRequired[int]


class MarksOutput(TypedDict):
    """…"""

    read_seq: int
    unread: int
    mentions: int
    muted_until: str | None
    archived_at: str | None


MediumEnum: TypeAlias = Literal["chat", "email", "sms"]


class MemberOutput(TypedDict):
    """…"""

    user_id: str
    joined_at: NotRequired[str]


class MemberPage(TypedDict):
    """…"""

    results: list[MemberOutput]
    next: str | None
    previous: str | None


class MembersChangedOutput(TypedDict):
    """…"""

    changed: int


class MembersInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    user_ids: list[str]


class MinuteOutput(TypedDict):
    """…"""

    sent: int
    retried: int
    dead: int


MissedEnum: TypeAlias = Literal["skip", "once", "all"]


class MuteInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    until: str | None


class NoteInput(TypedDict):
    """`POST /conversations/{id}/notes`."""

    body: str
    client_id: NotRequired[str]


class NoteOutput(TypedDict):
    """What the team says among themselves."""

    id: str
    conversation: str
    after_seq: int
    author: SomebodyOutput
    client_id: str
    body: str
    html: str
    created_at: str


class NotificationDetail(TypedDict):
    """A notification with the whole story of each delivery."""

    id: str
    status: StatusEnum
    user_id: NotRequired[str]
    category: NotRequired[str]
    template: NotRequired[str]
    template_version: NotRequired[int | None]
    experiment: NotRequired[str | None]
    variant: NotRequired[str]
    locale: NotRequired[str]
    priority: PriorityEnum
    agent_id: NotRequired[str]
    reference: NotRequired[str]
    tags: NotRequired[list[str]]
    metadata: NotRequired[Any]
    send_at: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    created_at: NotRequired[str]
    deliveries: list[DeliveryDetail]
    timeline: list[TimelineOutput]


class NotificationInput(TypedDict):
    """`POST /notifications`."""

    to: ToInput
    channels: NotRequired[list[ChannelEnum]]
    template: NotRequired[str]
    content: NotRequired[ContentInput]
    data: NotRequired[dict[str, Any]]
    locale: NotRequired[str]
    category: NotRequired[str]
    priority: NotRequired[PriorityEnum]
    send_at: NotRequired[str]
    expires_at: NotRequired[str]
    agent_id: NotRequired[str]
    reference: NotRequired[str]
    tags: NotRequired[list[str]]
    reply_to: NotRequired[str]
    attachments: NotRequired[list[AttachmentInput]]
    metadata: NotRequired[dict[str, str]]
    actions: NotRequired[list[ActionInput]]
    dry_run: NotRequired[bool]


class NotificationOutput(TypedDict):
    """A notification in a list."""

    id: str
    status: StatusEnum
    user_id: NotRequired[str]
    category: NotRequired[str]
    template: NotRequired[str]
    template_version: NotRequired[int | None]
    experiment: NotRequired[str | None]
    variant: NotRequired[str]
    locale: NotRequired[str]
    priority: PriorityEnum
    agent_id: NotRequired[str]
    reference: NotRequired[str]
    tags: NotRequired[list[str]]
    metadata: NotRequired[Any]
    send_at: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    created_at: NotRequired[str]
    deliveries: list[DeliveryOutput]


class NotificationPage(TypedDict):
    """…"""

    results: list[NotificationOutput]
    next: str | None
    previous: str | None


NullIsEnum: TypeAlias = Literal["empty", "error"]


class NumbersOutput(TypedDict):
    """What to put into the socket's `subscribe`, to get all that comes after this answer."""

    inbox: int
    announcements: int


class OfferedOutput(TypedDict):
    """A category that a person can get."""

    key: str
    name: str
    kind: CategoryKindEnum
    is_optional: bool
    is_opt_in: NotRequired[bool]


OnUnknownEnum: TypeAlias = Literal["resend", "hold"]


OutcomeEnum: TypeAlias = Literal["cancelled", "not_sent_again", "in_flight", "ended"]


class PageInput(TypedDict):
    """`POST /templates/{key}/import-html`."""

    html: str
    name: NotRequired[str]
    subject: NotRequired[str]
    publish: NotRequired[bool]


class PartChangeOutput(TypedDict):
    """One part that differs, as the lines of a unified diff."""

    locale: str
    channel: str
    part: str
    lines: list[str]


class PartOutput(TypedDict):
    """…"""

    state: str
    failures: int
    until: str | None
    reason: str
    name: str


class ParticipantOutput(TypedDict):
    """…"""

    kind: WhoEnum
    id: str
    role: RoleEnum
    read_seq: int
    delivered_seq: int
    joined_at: str


class PatchedAnnouncementInput(TypedDict):
    """`POST /announcements`; `PATCH` takes any of them."""

    to: NotRequired[AudienceInput]
    title: NotRequired[str]
    body: NotRequired[str]
    link: NotRequired[str]
    image: NotRequired[str]
    actions: NotRequired[list[ActionInput]]
    data: NotRequired[dict[str, str]]
    category: NotRequired[str]
    tags: NotRequired[list[str]]
    priority: NotRequired[AnnouncementPriorityEnum]
    banner: NotRequired[bool]
    starts_at: NotRequired[str]
    ends_at: NotRequired[str]


class PatchedCategoryChange(TypedDict):
    """`PATCH /categories/{key}`: what is left out stays as it is."""

    name: NotRequired[str]
    kind: NotRequired[CategoryKindEnum]
    on_unknown: NotRequired[OnUnknownEnum]
    long_text: NotRequired[LongTextEnum]
    is_optional: NotRequired[bool]
    is_opt_in: NotRequired[bool]
    needs_confirmation: NotRequired[bool]
    channels: NotRequired[list[ChannelEnum]]
    fallback: NotRequired[list[dict[str, Any]]]
    quiet: NotRequired[QuietEnum]
    spares_watchers: NotRequired[bool]
    daily_cap: NotRequired[int | None]
    digest_minutes: NotRequired[int | None]
    digest_first_at_once: NotRequired[bool]
    track_opens: NotRequired[bool]
    track_clicks: NotRequired[bool]
    content_days: NotRequired[int]
    inbox_days: NotRequired[int]
    is_sensitive: NotRequired[bool]
    is_paused: NotRequired[bool]


class PatchedConversationChange(TypedDict):
    """`PATCH /conversations/{id}`."""

    title: NotRequired[str]
    status: NotRequired[ConversationChangeStatusEnum]


class PatchedEditInput(TypedDict):
    """`PATCH /dead-letters/{id}`."""

    to: NotRequired[str | None]
    data: NotRequired[dict[str, Any] | None]


class PatchedEndpointChange(TypedDict):
    """`PATCH /webhook-endpoints/{id}`: what is left out stays as it is."""

    url: NotRequired[str]
    description: NotRequired[str]
    events: NotRequired[list[str]]
    is_active: NotRequired[bool]


class PatchedEntryChange(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    body: NotRequired[str]


class PatchedExperimentChange(TypedDict):
    """`PATCH`: what is left out stays as it is."""

    name: NotRequired[str]
    goal: NotRequired[GoalEnum]
    variants: NotRequired[list[VariantInput]]
    automatic: NotRequired[bool]


class PatchedRecipientInput(TypedDict):
    """`PUT` and `PATCH /recipients/{user_id}`: what is left out stays as it is."""

    locale: NotRequired[str]
    time_zone: NotRequired[str]
    data: NotRequired[dict[str, Any]]
    paused_until: NotRequired[str | None]
    emails: NotRequired[list[str]]
    phones: NotRequired[list[str]]
    topics: NotRequired[list[str]]


class PatchedRoleInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    role: NotRequired[RoleEnum]


class PatchedScheduleChange(TypedDict):
    """`PATCH /schedules/{id}`: what is left out stays as it is."""

    name: NotRequired[str]
    cron: NotRequired[str]
    time_zone: NotRequired[str]
    notification: NotRequired[NotificationInput]
    batch: NotRequired[ScheduledBatch]
    missed: NotRequired[MissedEnum]
    ends_at: NotRequired[str | None]
    enabled: NotRequired[bool]


class PatchedTemplateChange(TypedDict):
    """`PATCH /templates/{key}`. `context` has the newest `version`."""

    channels: NotRequired[ChannelsInput]
    locale: NotRequired[str]
    translations: NotRequired[dict[str, ChannelsInput]]
    layout: NotRequired[str]
    null_is: NotRequired[NullIsEnum]
    hosted: NotRequired[dict[str, HostedInput]]
    schema: NotRequired[dict[str, Any]]
    name: NotRequired[str]
    samples: NotRequired[list[SampleInput]]


class PatchedTopicChange(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    name: NotRequired[str]


class PeopleImportedOutput(TypedDict):
    """What became of an upload. Rows that are rejected leave nothing behind."""

    received: int
    stored: int
    rejected: int
    errors: list[RowErrorOutput]


class PeopleInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    user_ids: list[str]


class PeriodInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    start: str
    end: str
    days: NotRequired[list[int]]


class PeriodOutput(TypedDict):
    """…"""

    start: str
    end: str
    days: NotRequired[list[int]]


class PersonalDataOutput(TypedDict):
    """How far an export or an erasure has come; once it is done, the receipt."""

    id: str
    kind: PersonalDataOutputKindEnum
    state: PersonalDataStateEnum
    progress: int
    part: str
    counts: dict[str, int]
    created_at: str
    finished_at: NotRequired[str | None]
    expires_at: NotRequired[str | None]


PersonalDataOutputKindEnum: TypeAlias = Literal["export", "erasure"]


PersonalDataStateEnum: TypeAlias = Literal["running", "done"]


PlaceEnum: TypeAlias = Literal["inbox", "archived", "snoozed", "gone"]


PlatformEnum: TypeAlias = Literal["fcm", "apns", "webpush"]


class PreferencesInput(TypedDict):
    """`PUT /recipients/{user_id}/preferences`: each choice is written, others stay."""

    preferences: list[ChoiceInput]
    proof: NotRequired[dict[str, str]]


class PreferencesOutput(TypedDict):
    """A person's choices, and the categories that there are to choose from."""

    preferences: list[ChoiceOutput]
    unsubscribed: list[UnsubscribedOutput]
    categories: list[OfferedOutput]
    paused_until: str | None


class PresenceFields(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    hide_last_seen: bool


class PreviewInput(TypedDict):
    """`POST /templates/{key}/preview`."""

    data: NotRequired[dict[str, Any]]
    sample: NotRequired[str]
    locale: NotRequired[str]
    time_zone: NotRequired[str]
    channel: NotRequired[str]
    version: NotRequired[int]
    content: NotRequired[VersionContentInput]


class PreviewOutput(TypedDict):
    """The rendered parts, by channel."""

    channels: dict[str, dict[str, str]]
    locales: dict[str, str]
    facts: dict[str, dict[str, Any]]
    hosted: dict[str, dict[str, Any]]
    warnings: list[WarningOutput]


PriorityEnum: TypeAlias = Literal["urgent", "normal", "bulk"]


class Problem(TypedDict):
    """What is wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: NotRequired[list[dict[str, Any]]]


class ProofInput(TypedDict):
    """`POST /templates/{key}/test-send`."""

    to: TargetInput
    data: NotRequired[dict[str, Any]]
    sample: NotRequired[str]
    locale: NotRequired[str]
    channels: NotRequired[list[ChannelEnum]]
    version: NotRequired[int]


class ProviderOutput(TypedDict):
    """…"""

    name: str
    channels: list[ChannelEnum]
    configured: bool
    enabled: bool
    breaker: BreakerOutput
    parts: list[PartOutput]
    weight: int
    health: int
    limit: LimitOutput | None
    changes: list[ChangeOutput]


class ProvidersOutput(TypedDict):
    """In the order of failover."""

    results: list[ProviderOutput]
    next: str | None
    previous: str | None


class PublishedOutput(TypedDict):
    """…"""

    number: int
    channels: Any
    locale: NotRequired[str]
    translations: NotRequired[Any]
    layout: NotRequired[str]
    null_is: NotRequired[NullIsEnum]
    hosted: NotRequired[Any]
    schema: NotRequired[Any]
    variables: Any
    pins: Any
    created_by: NotRequired[str]
    created_at: str
    published_at: NotRequired[str | None]
    warnings: list[dict[str, str]]


class PushParts(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    title: NotRequired[str]
    body: NotRequired[str]
    link: NotRequired[str]
    image: NotRequired[str]
    badge: NotRequired[str]
    collapse_id: NotRequired[str]


class QueuesOutput(TypedDict):
    """`service` is null without the scope providers:read."""

    lanes: list[LaneOutput]
    service: ServiceOutput | None


QuietEnum: TypeAlias = Literal["ignore", "delay", "skip"]


class QuietHoursInput(TypedDict):
    """`PUT /recipients/{user_id}/quiet-hours`: in place of those there were."""

    periods: list[PeriodInput]
    time_zone: NotRequired[str]


class QuietHoursOutput(TypedDict):
    """…"""

    periods: list[PeriodOutput]
    time_zone: str


class QuoteOutput(TypedDict):
    """…"""

    id: str
    seq: int
    author: SomebodyOutput
    excerpt: str
    deleted: bool


class ReactionInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    entry: str
    emoji: str


class ReactionOutput(TypedDict):
    """…"""

    emoji: str
    by: list[SomebodyOutput]


ReasonEnum: TypeAlias = Literal["bounce", "complaint", "unsubscribe", "manual"]


class ReceiptOutput(TypedDict):
    """One webhook call, as far as it may be shown."""

    id: str
    provider: str
    state: ReceiptStateEnum
    size: int
    received_at: NotRequired[str]
    processed_at: NotRequired[str | None]
    tries: NotRequired[int]
    next_try_at: str | None
    error: NotRequired[str]


class ReceiptPage(TypedDict):
    """…"""

    results: list[ReceiptOutput]
    next: str | None
    previous: str | None


class ReceiptReplayInput(TypedDict):
    """`POST /webhook-receipts/replay`: at least one field."""

    provider: NotRequired[str]
    state: NotRequired[ReceiptStateEnum]
    since: NotRequired[str]
    until: NotRequired[str]


ReceiptStateEnum: TypeAlias = Literal["waiting", "applied", "unknown", "set_aside"]


ReceiptsEnum: TypeAlias = Literal["normal", "lost", "late", "duplicated", "reordered", "forged"]


class RecipientInput(TypedDict):
    """`PUT` and `PATCH /recipients/{user_id}`: what is left out stays as it is."""

    locale: NotRequired[str]
    time_zone: NotRequired[str]
    data: NotRequired[dict[str, Any]]
    paused_until: NotRequired[str | None]
    emails: NotRequired[list[str]]
    phones: NotRequired[list[str]]
    topics: NotRequired[list[str]]


class RecipientOutput(TypedDict):
    """A person."""

    user_id: str
    locale: NotRequired[str]
    time_zone: NotRequired[str]
    data: NotRequired[Any]
    paused_until: NotRequired[str | None]
    addresses: list[AddressOutput]
    topics: list[str]
    created_at: str


class RecipientPage(TypedDict):
    """…"""

    results: list[RecipientOutput]
    next: str | None
    previous: str | None


class RecipientRow(TypedDict):
    """A person, as `PUT /recipients/{user_id}` takes them."""

    locale: NotRequired[str]
    time_zone: NotRequired[str]
    data: NotRequired[dict[str, Any]]
    paused_until: NotRequired[str | None]
    emails: NotRequired[list[str]]
    phones: NotRequired[list[str]]
    topics: NotRequired[list[str]]
    user_id: str


class ReplayInput(TypedDict):
    """`POST /dead-letters/replay`."""

    ids: NotRequired[list[str]]
    filter: NotRequired[DeadLetterFilter]


class ReplayOutput(TypedDict):
    """How many are applied again."""

    replayed: int


class ReplayResult(TypedDict):
    """What became of one of many: a delivery, or a problem's code and detail."""

    id: str
    delivery_id: str | None
    notification_id: str | None
    code: str
    detail: str


class ReplayWebhooks(TypedDict):
    """One delivery, or those of a time."""

    delivery_id: NotRequired[str]
    since: NotRequired[str]
    until: NotRequired[str]
    only_failed: NotRequired[bool]


class ReplayedOutput(TypedDict):
    """The answer to a replay."""

    id: str
    delivery_id: str
    notification_id: str
    status: StatusEnum


class ReplayedWebhooksOutput(TypedDict):
    """…"""

    replayed: int


class ReplaysOutput(TypedDict):
    """The answer to a replay of many. `remaining` match the filter and wait for another call."""

    results: list[ReplayResult]
    remaining: int


class ResultOutput(TypedDict):
    """What became of one row."""

    number: int
    reference: str
    status: ResultOutputStatusEnum
    errors: list[RowError]
    notification_id: str | None
    deliveries: list[RowDelivery]


ResultOutputStatusEnum: TypeAlias = Literal["accepted", "rejected"]


class ResultPage(TypedDict):
    """…"""

    results: list[ResultOutput]
    next: str | None
    previous: str | None


class ResultsOutput(TypedDict):
    """…"""

    state: ExperimentStateEnum
    goal: GoalEnum
    variants: list[ArmOutput]
    best: str
    comparisons: list[ComparisonOutput]
    certain: bool
    winner: str


RoleEnum: TypeAlias = Literal["owner", "admin", "member"]


class RouteOutput(TypedDict):
    """One provider of the channel, in the order in which they would be asked."""

    provider: str
    usable: bool
    why: str
    remaining: int | None


class RowDelivery(TypedDict):
    """…"""

    id: str
    channel: ChannelEnum
    to: str
    status: StatusEnum
    reason: str


class RowError(TypedDict):
    """…"""

    field: str
    code: str
    message: str


class RowErrorOutput(TypedDict):
    """…"""

    number: int
    field: str
    code: str
    message: str


class RowInput(TypedDict):
    """One row; checked by `rows`, described here."""

    to: TargetRow
    data: NotRequired[dict[str, Any]]
    reference: NotRequired[str]


RuleInputChannelEnum: TypeAlias = Literal["email", "sms", "push"]


class RuleInput(TypedDict):
    """One rule. Left out: every simulator, channel and address; all is well; for all, for
    ever.
    """

    provider: NotRequired[str]
    channel: NotRequired[RuleInputChannelEnum]
    address: NotRequired[str]
    answer: NotRequired[AnswerEnum]
    status: NotRequired[int]
    retry_after: NotRequired[float]
    latency: NotRequired[float]
    receipts: NotRequired[ReceiptsEnum]
    receipts_after: NotRequired[float]
    percent: NotRequired[int]
    messages: NotRequired[int]
    seconds: NotRequired[float]


class RuleOutput(TypedDict):
    """…"""

    provider: NotRequired[str]
    channel: NotRequired[ChannelEnum | BlankEnum]
    address: NotRequired[str]
    answer: AnswerEnum
    status: NotRequired[int]
    retry_after: NotRequired[float]
    latency: NotRequired[float]
    receipts: ReceiptsEnum
    receipts_after: NotRequired[float]
    percent: NotRequired[int]
    messages: NotRequired[int | None]
    until: NotRequired[str | None]
    met: NotRequired[int]


class SampleInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    name: str
    data: dict[str, Any]
    locale: NotRequired[str]


class SampleOutput(TypedDict):
    """Counts are deliveries; each is in one of the first five."""

    depth: int
    in_flight: int
    throttled: int
    later: int
    held: int
    oldest_seconds: float
    throttled_seconds: float
    at: str
    last_minute: MinuteOutput


class SampledLaneOutput(TypedDict):
    """Counts are deliveries; each is in one of the first five."""

    depth: int
    in_flight: int
    throttled: int
    later: int
    held: int
    oldest_seconds: float
    throttled_seconds: float
    lane: PriorityEnum
    suspects: int
    last_minute: MinuteOutput
    samples: list[SampleOutput]


class ScheduleDetail(TypedDict):
    """A schedule with what it sends."""

    id: str
    name: str
    cron: str
    time_zone: NotRequired[str]
    kind: ScheduleKindEnum
    missed: MissedEnum
    enabled: NotRequired[bool]
    ends_at: NotRequired[str | None]
    next_runs: list[str]
    last_run_at: str | None
    last_error: LastError | None
    created_at: str
    notification: dict[str, Any] | None
    batch: dict[str, Any] | None


class ScheduleInput(TypedDict):
    """`POST /schedules`."""

    name: str
    cron: str
    time_zone: NotRequired[str]
    notification: NotRequired[NotificationInput]
    batch: NotRequired[ScheduledBatch]
    missed: NotRequired[MissedEnum]
    ends_at: NotRequired[str | None]
    enabled: NotRequired[bool]


ScheduleKindEnum: TypeAlias = Literal["notification", "batch"]


class ScheduleOutput(TypedDict):
    """A schedule in a list."""

    id: str
    name: str
    cron: str
    time_zone: NotRequired[str]
    kind: ScheduleKindEnum
    missed: MissedEnum
    enabled: NotRequired[bool]
    ends_at: NotRequired[str | None]
    next_runs: list[str]
    last_run_at: str | None
    last_error: LastError | None
    created_at: str


class SchedulePage(TypedDict):
    """…"""

    results: list[ScheduleOutput]
    next: str | None
    previous: str | None


class ScheduledBatch(TypedDict):
    """A batch with its rows, all of which have to be right."""

    channels: NotRequired[list[ChannelEnum]]
    template: NotRequired[str]
    content: NotRequired[ContentInput]
    data: NotRequired[dict[str, Any]]
    locale: NotRequired[str]
    category: NotRequired[str]
    priority: NotRequired[PriorityEnum]
    send_at: NotRequired[str]
    expires_at: NotRequired[str]
    agent_id: NotRequired[str]
    reference: NotRequired[str]
    tags: NotRequired[list[str]]
    reply_to: NotRequired[str]
    metadata: NotRequired[dict[str, str]]
    actions: NotRequired[list[ActionInput]]
    pace: NotRequired[float]
    canary: NotRequired[CanaryInput]
    approval: NotRequired[bool]
    rows: list[dict[str, Any]]


ScopeEnum: TypeAlias = Literal[
    "notifications:read",
    "notifications:write",
    "templates:read",
    "templates:write",
    "audience:read",
    "audience:write",
    "announcements:read",
    "announcements:write",
    "conversations:read",
    "conversations:write",
    "providers:read",
    "providers:write",
    "webhooks:read",
    "webhooks:write",
    "analytics:read",
    "alerts:read",
    "alerts:write",
]


class ScriptInput(TypedDict):
    """`PUT /providers/simulator/script`."""

    rules: list[RuleInput]


class ScriptOutput(TypedDict):
    """…"""

    rules: list[RuleOutput]


class SearchPage(TypedDict):
    """…"""

    results: list[FoundOutput]
    next: str | None
    previous: str | None


class ServiceOutput(TypedDict):
    """Of all agents together."""

    lanes: list[SampledLaneOutput]
    agents: list[AgentOutput]


SeverityEnum: TypeAlias = Literal["warning", "critical"]


class SmsParts(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    text: NotRequired[str]


class SnoozeInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    ids: list[str]
    until: NotRequired[str]
    undo: NotRequired[bool]


class SomebodyOutput(TypedDict):
    """…"""

    kind: WhoEnum
    id: str


StatusEnum: TypeAlias = Literal[
    "scheduled",
    "queued",
    "sending",
    "unknown",
    "sent",
    "delivered",
    "failed",
    "dead",
    "unconfirmed",
    "bounced",
    "complained",
    "suppressed",
    "cancelled",
    "expired",
]


StyleEnum: TypeAlias = Literal["primary", "secondary", "danger"]


class SubscriptionInput(TypedDict):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint: str
    keys: KeysInput
    expirationTime: NotRequired[float | None]


SuppressionInputChannelEnum: TypeAlias = Literal["email", "sms"]


class SuppressionInput(TypedDict):
    """`POST /suppressions`, and a row of the import."""

    channel: SuppressionInputChannelEnum
    address: NotRequired[str]
    address_hash: NotRequired[str]
    scope: NotRequired[str]
    reason: NotRequired[ReasonEnum]
    source: NotRequired[str]
    expires_at: NotRequired[str | None]


class SuppressionOutput(TypedDict):
    """An address that is not written to."""

    id: str
    channel: ChannelEnum
    address: NotRequired[str]
    address_hash: str
    scope: NotRequired[str]
    reason: ReasonEnum
    source: NotRequired[str]
    expires_at: NotRequired[str | None]
    delivery_id: NotRequired[str | None]
    created_at: NotRequired[str]


class SuppressionPage(TypedDict):
    """…"""

    results: list[SuppressionOutput]
    next: str | None
    previous: str | None


class TagCounts(TypedDict):
    """…"""

    unseen: int
    unread: int


class TargetInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    user_id: NotRequired[str]
    email: NotRequired[str]
    phone: NotRequired[str]
    device: NotRequired[str]


class TargetRow(TypedDict):
    """…"""

    user_id: NotRequired[str]
    email: NotRequired[str]
    phone: NotRequired[str]


class TemplateDetail(TypedDict):
    """A template with its newest version: the draft if there is one."""

    key: str
    name: str
    kind: NotRequired[TemplateKindEnum]
    samples: NotRequired[Any]
    archived_at: NotRequired[str | None]
    created_at: str
    published_version: int | None
    latest: dict[str, Any]
    warnings: list[dict[str, str]]


class TemplateInput(TypedDict):
    """`POST /templates`."""

    channels: NotRequired[ChannelsInput]
    locale: NotRequired[str]
    translations: NotRequired[dict[str, ChannelsInput]]
    layout: NotRequired[str]
    null_is: NotRequired[NullIsEnum]
    hosted: NotRequired[dict[str, HostedInput]]
    schema: NotRequired[dict[str, Any]]
    key: str
    name: str
    kind: NotRequired[TemplateKindEnum]
    samples: NotRequired[list[SampleInput]]


TemplateKindEnum: TypeAlias = Literal["message", "reply", "layout", "partial"]


class TemplateOutput(TypedDict):
    """A template with its newest version: the draft if there is one."""

    key: str
    name: str
    kind: NotRequired[TemplateKindEnum]
    samples: NotRequired[Any]
    archived_at: NotRequired[str | None]
    created_at: str
    published_version: int | None
    latest: dict[str, Any]


class TemplatePage(TypedDict):
    """…"""

    results: list[TemplateOutput]
    next: str | None
    previous: str | None


class TimelineOutput(TypedDict):
    """One thing that happened to a message."""

    type: str
    at: str
    text: str
    delivery_id: NotRequired[str | None]
    channel: NotRequired[str]
    provider: str
    attempt: int | None
    latency_ms: int | None
    code: str
    detail: str


class TimesOutput(TypedDict):
    """How long it took, from when a message was due; percentiles are read from a histogram."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class ToInput(TypedDict):
    """One person or address, or everybody of a topic."""

    user_id: NotRequired[str]
    email: NotRequired[str]
    phone: NotRequired[str]
    device: NotRequired[str]
    topic: NotRequired[str]
    exclude: NotRequired[list[str]]
    exclude_topics: NotRequired[list[str]]


class TopicInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    name: str
    key: str


class TopicOutput(TypedDict):
    """A named group of people."""

    key: str
    name: str
    created_at: str


class TopicPage(TypedDict):
    """…"""

    results: list[TopicOutput]
    next: str | None
    previous: str | None


class TraceOutput(TypedDict):
    """How a delivery would be decided at this moment."""

    at: str
    policy: list[FindingOutput]
    routes: list[RouteOutput]
    segments: int | None
    cost: str | None


class UndoableInput(TypedDict):
    """Which items: by their ids, or all there are."""

    ids: NotRequired[list[str]]
    all: NotRequired[bool]
    before: NotRequired[str]
    tag: NotRequired[str]
    undo: NotRequired[bool]


class UnsubscribedOutput(TypedDict):
    """Where a person has unsubscribed."""

    category: str
    channel: ChannelEnum


class UploadInput(TypedDict):
    """…"""

    file: str


class VariantInput(TypedDict):
    """A serializer for input: an unknown field is an error that names it, never ignored, and a
    number is no text.
    """

    name: str
    version: int
    weight: NotRequired[int]


class VariantOutput(TypedDict):
    """…"""

    name: str
    version: int
    weight: NotRequired[int]


class VersionContentInput(TypedDict):
    """What a version says. What is left out of a change stays as it is."""

    channels: NotRequired[ChannelsInput]
    locale: NotRequired[str]
    translations: NotRequired[dict[str, ChannelsInput]]
    layout: NotRequired[str]
    null_is: NotRequired[NullIsEnum]
    hosted: NotRequired[dict[str, HostedInput]]
    schema: NotRequired[dict[str, Any]]


class VersionOutput(TypedDict):
    """…"""

    number: int
    channels: Any
    locale: NotRequired[str]
    translations: NotRequired[Any]
    layout: NotRequired[str]
    null_is: NotRequired[NullIsEnum]
    hosted: NotRequired[Any]
    schema: NotRequired[Any]
    variables: Any
    pins: Any
    created_by: NotRequired[str]
    created_at: str
    published_at: NotRequired[str | None]


class VersionPage(TypedDict):
    """…"""

    results: list[VersionOutput]
    next: str | None
    previous: str | None


class WarningOutput(TypedDict):
    """Something that works and will disappoint."""

    field: str
    code: str
    message: str


class WebKeyOutput(TypedDict):
    """…"""

    server_key: str


class WebhookAttemptOutput(TypedDict):
    """…"""

    number: int
    at: NotRequired[str]
    status: int | None
    latency_ms: int
    error: NotRequired[str]
    answer: NotRequired[str]


class WebhookDeliveryOutput(TypedDict):
    """An event for one endpoint, with every try."""

    id: str
    event_id: str
    type: str
    subject: NotRequired[str]
    state: str
    tries: NotRequired[int]
    next_try_at: NotRequired[str | None]
    delivered_at: NotRequired[str | None]
    created_at: NotRequired[str]
    attempts: list[WebhookAttemptOutput]


class WebhookDeliveryPage(TypedDict):
    """…"""

    results: list[WebhookDeliveryOutput]
    next: str | None
    previous: str | None


class WhoAmIOutput(TypedDict):
    """…"""

    kind: WhoAmIOutputKindEnum
    name: NotRequired[str]
    user_id: NotRequired[str]
    scopes: list[ScopeEnum]
    expires_at: str | None


WhoAmIOutputKindEnum: TypeAlias = Literal["agent", "user"]


WhoEnum: TypeAlias = Literal["user", "staff", "agent"]


class WinnerInput(TypedDict):
    """`POST .../decide`."""

    winner: str


class WsTicketOutput(TypedDict):
    """…"""

    ticket: str
    expires_in: int
