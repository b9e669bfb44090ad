//! The Unleash door's bodies as they travel, under the names that Unleash gives their schemas.

use crate::secret::Secret;
use serde::Serialize;
use utoipa::ToSchema;

/// A service account. `email` is never sent: it has none, and the schema does not let it be null.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = serviceAccountSchema)]
pub struct ServiceAccount {
    #[schema(minimum = 1)]
    pub id: i64,
    /// Always false.
    #[serde(rename = "isAPI")]
    #[schema(required = false, deprecated)]
    pub is_api: bool,
    #[schema(required = false)]
    pub name: String,
    #[schema(required = false)]
    pub username: String,
    /// Always empty: nothing is fetched from elsewhere to show a service account.
    #[schema(required = false)]
    pub image_url: &'static str,
    /// Always empty.
    #[schema(required = false, deprecated)]
    pub invite_link: &'static str,
    /// Always 0.
    #[schema(required = false, deprecated)]
    pub login_attempts: u32,
    /// Always false.
    #[schema(required = false, deprecated)]
    pub email_sent: bool,
    /// The id of the strongest root role that it has; absent where it has not even the weakest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = i64, minimum = 1)]
    pub root_role: Option<i64>,
    /// Always null: look at its tokens.
    #[schema(required = false, deprecated, format = "date-time")]
    pub seen_at: Option<String>,
    #[schema(required = false, format = "date-time")]
    pub created_at: String,
    /// Without secrets; absent for a caller who may not see tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Vec<Pat>)]
    pub tokens: Option<Vec<Pat>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = serviceAccountsSchema)]
pub struct ServiceAccounts {
    pub service_accounts: Vec<ServiceAccount>,
    /// Those that the service accounts refer to.
    #[schema(required = false)]
    pub root_roles: Vec<Role>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = roleSchema)]
pub struct Role {
    #[schema(minimum = 0)]
    pub id: i64,
    pub r#type: &'static str,
    pub name: &'static str,
    #[schema(required = false)]
    pub description: &'static str,
}

/// A token of a service account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = patSchema)]
pub struct Pat {
    /// A more recently created token has a higher id.
    #[schema(minimum = 1)]
    pub id: i64,
    /// The text of the token, in the one answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub secret: Option<Secret>,
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When it was last used; null if never.
    #[schema(required = false, format = "date-time")]
    pub seen_at: Option<String>,
    /// The id of its service account.
    #[schema(required = false)]
    pub user_id: i64,
    pub description: String,
    #[schema(format = "date-time")]
    pub expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = ExpiryWarning)]
    pub expiry_warning: Option<&'static str>,
}

/// Its end has passed, or is near.
#[derive(ToSchema)]
#[schema(as = expiryWarningSchema, rename_all = "kebab-case")]
#[expect(dead_code, reason = "documents the words that `convert` writes")]
pub enum ExpiryWarning {
    ExpiresSoon,
    Expired,
}

#[derive(Serialize, ToSchema)]
#[schema(as = patsSchema)]
pub struct Pats {
    pub pats: Vec<Pat>,
}

/// What a service account may do, permission by permission.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = serviceAccountPermissionsSchema)]
pub struct ServiceAccountPermissions {
    pub overview: Overview,
    /// Always empty: there are no projects here.
    pub project_roles: Vec<Role>,
    /// Absent where not even the weakest role fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Role)]
    pub root_role: Option<Role>,
    pub service_account: ServiceAccount,
    /// Those that it has.
    pub permissions: Vec<Permission>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = overviewSchema)]
pub struct Overview {
    /// All management permissions there are.
    pub root: Vec<OverviewPermission>,
    /// Always empty.
    pub project: Vec<OverviewPermission>,
    /// Always empty.
    pub environment: Vec<OverviewPermission>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = overviewPermissionSchema)]
pub struct OverviewPermission {
    pub name: &'static str,
    pub display_name: &'static str,
    pub r#type: &'static str,
    pub has_permission: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = permissionSchema)]
pub struct Permission {
    pub permission: &'static str,
}

/// An error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = apiErrorSchema)]
pub struct ApiError {
    /// The id of the error instance, which the access log has too.
    #[schema(format = "uuid")]
    pub id: String,
    /// The kind of error, for machines.
    pub name: &'static str,
    /// What went wrong, in the language of `Accept-Language`.
    pub message: String,
    /// Every field that is refused; else the message once more.
    pub details: Vec<ErrorDetail>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = apiErrorDetailSchema)]
pub struct ErrorDetail {
    pub message: String,
    /// The field.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub path: Option<String>,
}

/// A service account to make. Other fields are ignored.
#[derive(ToSchema)]
#[schema(as = createServiceAccountSchema, rename_all = "camelCase")]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct CreateServiceAccount {
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// No two service accounts in force have the same, case aside.
    #[schema(min_length = 1, max_length = 120)]
    username: String,
    /// 1 (Admin), 2 (Editor) or 3 (Viewer).
    #[schema(minimum = 1, maximum = 3)]
    root_role: i64,
}

/// A change of a service account. What is absent stays; other fields are ignored.
#[derive(ToSchema)]
#[schema(as = updateServiceAccountSchema, rename_all = "camelCase")]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct UpdateServiceAccount {
    #[schema(required = false, min_length = 1, max_length = 120)]
    name: String,
    /// 1 (Admin), 2 (Editor) or 3 (Viewer).
    #[schema(required = false, minimum = 1, maximum = 3)]
    root_role: i64,
}

/// A token to make. Other fields are ignored.
#[derive(ToSchema)]
#[schema(as = createPatSchema, rename_all = "camelCase")]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct CreatePat {
    /// No two tokens of a service account have the same.
    #[schema(min_length = 1, max_length = 1000)]
    description: String,
    /// In the future, and within the account's policy.
    #[schema(format = "date-time")]
    expires_at: String,
}
