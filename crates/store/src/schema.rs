//! The tables, once for both databases.

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    instance (id) {
        id -> Integer,
        bootstrapped_at -> Nullable<Ts>,
        automatic_account -> Nullable<Uid>,
        automatic_credential -> Nullable<Uid>,
        uses_tracked_since -> Nullable<Ts>,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    key_checks (version) {
        version -> Integer,
        check_value -> Binary,
        created_at -> Ts,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    accounts (id) {
        id -> Uid,
        name -> Text,
        name_key -> Text,
        status -> Text,
        scope_ceiling -> Nullable<Text>,
        ops_addresses -> Doc,
        token_prefix -> Text,
        default_lifetime_us -> Nullable<BigInt>,
        max_lifetime_us -> Nullable<BigInt>,
        require_confirmed_contact -> Bool,
        tokens_per_service_account -> Integer,
        created_at -> Ts,
        created_by -> Text,
        updated_at -> Ts,
        version -> BigInt,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    environments (id) {
        id -> Uid,
        account_id -> Uid,
        name -> Text,
        name_key -> Text,
        created_at -> Ts,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    users (id) {
        id -> Uid,
        email -> Text,
        email_key -> Text,
        password_hash -> Nullable<Text>,
        language -> Text,
        setup_generation -> Integer,
        setup_expires_at -> Nullable<Ts>,
        created_at -> Ts,
        updated_at -> Ts,
        version -> BigInt,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    members (account_id, user_id) {
        account_id -> Uid,
        user_id -> Uid,
        role -> Text,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    service_accounts (id) {
        id -> Uid,
        account_id -> Uid,
        environment_id -> Nullable<Uid>,
        name -> Text,
        name_key -> Text,
        name_is_exclusive -> Bool,
        username -> Nullable<Text>,
        username_key -> Nullable<Text>,
        description -> Nullable<Text>,
        contact_email -> Nullable<Text>,
        pending_contact_email -> Nullable<Text>,
        contact_language -> Text,
        contact_state -> Text,
        contact_confirmed_at -> Nullable<Ts>,
        resent_at -> Nullable<Ts>,
        resend_window_at -> Nullable<Ts>,
        resends -> Integer,
        scopes -> Text,
        basic_auth_enabled -> Bool,
        status -> Text,
        suspended_at -> Nullable<Ts>,
        revoked_at -> Nullable<Ts>,
        revoked_by -> Nullable<Text>,
        created_at -> Ts,
        created_by -> Text,
        updated_at -> Ts,
        version -> BigInt,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    credentials (id) {
        id -> Uid,
        account_id -> Uid,
        service_account_id -> Nullable<Uid>,
        environment_id -> Nullable<Uid>,
        kind -> Text,
        public_id -> Text,
        prefix -> Text,
        last4 -> Text,
        sealed -> Binary,
        sealed_secret -> Nullable<Binary>,
        key_version -> Integer,
        description -> Nullable<Text>,
        scopes -> Text,
        inherits_scopes -> Bool,
        is_primary -> Bool,
        family_id -> Uid,
        status -> Text,
        suspended_at -> Nullable<Ts>,
        revoked_at -> Nullable<Ts>,
        revoked_by -> Nullable<Text>,
        revoke_reason -> Nullable<Text>,
        not_before -> Nullable<Ts>,
        expires_at -> Nullable<Ts>,
        retires_at -> Nullable<Ts>,
        ends_at -> Nullable<Ts>,
        end_recorded_at -> Nullable<Ts>,
        deleted_at -> Nullable<Ts>,
        created_at -> Ts,
        created_by -> Text,
        updated_at -> Ts,
        version -> BigInt,
        allowed_networks -> Nullable<Text>,
        rate_limit -> Nullable<Integer>,
        rate_period_s -> Nullable<Integer>,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    credential_use (credential_id) {
        credential_id -> Uid,
        first_used_at -> Ts,
        last_used_at -> Ts,
        uses -> BigInt,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    credential_use_days (credential_id, day) {
        credential_id -> Uid,
        day -> BigInt,
        uses -> BigInt,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    confirmations (id) {
        id -> Uid,
        account_id -> Uid,
        service_account_id -> Uid,
        email -> Text,
        language -> Text,
        is_fallback -> Bool,
        state -> Text,
        generation -> Integer,
        key_version -> Integer,
        created_at -> Ts,
        expires_at -> Ts,
        decided_at -> Nullable<Ts>,
        version -> BigInt,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    notices (id) {
        id -> Uid,
        account_id -> Uid,
        service_account_id -> Nullable<Uid>,
        confirmation_id -> Nullable<Uid>,
        kind -> Text,
        dedupe_key -> Text,
        recipient -> Nullable<Text>,
        recipient_hash -> Binary,
        message_id -> Text,
        state -> Text,
        detail -> Nullable<Text>,
        created_at -> Ts,
        updated_at -> Ts,
        accepted_at -> Nullable<Ts>,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    events (id) {
        id -> Uid,
        account_id -> Uid,
        at -> Ts,
        kind -> Text,
        actor_kind -> Text,
        actor_id -> Nullable<Uid>,
        actor_service_account_id -> Nullable<Uid>,
        environment_id -> Nullable<Uid>,
        service_account_id -> Nullable<Uid>,
        credential_id -> Nullable<Uid>,
        request_id -> Nullable<Uid>,
        client_ip -> Nullable<Text>,
        data -> Doc,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    jobs (id) {
        id -> Uid,
        name -> Text,
        payload -> Doc,
        run_at -> Ts,
        lease_no -> BigInt,
        leased_until -> Nullable<Ts>,
        started_at -> Nullable<Ts>,
        attempt -> Integer,
        last_error -> Nullable<Text>,
        outcome -> Nullable<Text>,
        created_at -> Ts,
        done_at -> Nullable<Ts>,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    schedules (name) {
        name -> Text,
        next_run_at -> Ts,
        last_run_at -> Nullable<Ts>,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    feed (seq) {
        seq -> BigInt,
        kind -> Text,
        id -> Uid,
        version -> BigInt,
        at -> Ts,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    idempotency (actor, door, operation, key) {
        actor -> Text,
        door -> Text,
        operation -> Text,
        key -> Text,
        fingerprint -> Binary,
        outcome -> Doc,
        credential_id -> Nullable<Uid>,
        sealed_secret -> Nullable<Binary>,
        key_version -> Nullable<Integer>,
        secret_until -> Nullable<Ts>,
        created_at -> Ts,
        expires_at -> Ts,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    numbers (number) {
        number -> BigInt,
        id -> Uid,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    signing_keys (id) {
        id -> Uid,
        status -> Text,
        public_key -> Binary,
        sealed -> Binary,
        key_version -> Integer,
        created_at -> Ts,
        activated_at -> Nullable<Ts>,
        retired_at -> Nullable<Ts>,
        version -> BigInt,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    used_assertions (service_account_id, jti_hash) {
        service_account_id -> Uid,
        jti_hash -> Binary,
        expires_at -> Ts,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    revoked_access_tokens (id) {
        id -> Uid,
        expires_at -> Ts,
    }
}

diesel::table! {
    use crate::types::sql::*;
    use diesel::sql_types::*;
    nodes (id) {
        id -> Uid,
        name -> Text,
        role -> Text,
        started_at -> Ts,
        seen_at -> Ts,
        counts_until -> Ts,
        applied -> BigInt,
        applied_at -> Ts,
        lease_us -> BigInt,
        max_age_us -> BigInt,
        uses_flushed_at -> Nullable<Ts>,
    }
}

diesel::joinable!(credentials -> accounts (account_id));
diesel::joinable!(credentials -> service_accounts (service_account_id));
diesel::allow_tables_to_appear_in_same_query!(
    instance,
    key_checks,
    accounts,
    environments,
    users,
    members,
    service_accounts,
    credentials,
    credential_use,
    credential_use_days,
    confirmations,
    notices,
    events,
    jobs,
    schedules,
    feed,
    idempotency,
    numbers,
    signing_keys,
    used_assertions,
    revoked_access_tokens,
    nodes,
);
