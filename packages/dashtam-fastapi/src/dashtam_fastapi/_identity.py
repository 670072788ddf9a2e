"""People who log in here: their account, sessions, tokens and second factor, and what administrators do."""

from typing import Final

from fastapi import APIRouter

from dashtam_core import identity
from dashtam_fastapi._answers import ProblemRoute
from dashtam_fastapi._exposed import expose

unproven: Final = APIRouter(tags=["identity"], route_class=ProblemRoute)
"""What is asked before anybody has said who they are."""
people: Final = APIRouter(tags=["identity"], route_class=ProblemRoute)
administration: Final = APIRouter(tags=["administration"], route_class=ProblemRoute)

expose(unproven, "POST /users", identity.RegisterUser, "Register", status=202, problems=[429])
expose(unproven, "POST /email-verifications", identity.VerifyEmail, "Prove an address", problems=[409, 429])
expose(
    unproven,
    "POST /password-resets",
    identity.RequestPasswordReset,
    "Forget a password",
    status=202,
    problems=[429],
)
expose(unproven, "PUT /password-resets", identity.ResetPassword, "Replace a forgotten password")
expose(
    unproven,
    "POST /sessions",
    identity.LogIn,
    "Log in",
    status=201,
    problems=[429],
    location="/v1/sessions/{session_id}",
)
expose(unproven, "POST /tokens", identity.RefreshSession, "Refresh a session's tokens")

expose(people, "GET /users/me", identity.GetMyUser, "Get your account", problems=[404])
expose(people, "DELETE /users/me", identity.EraseUser, "Erase everything you have here")
expose(people, "GET /users/me/export", identity.ExportUser, "Get everything held about you")
expose(
    people, "PUT /users/me/email", identity.ChangeEmail, "Take another address", status=202, problems=[404, 429]
)
expose(people, "PUT /users/me/password", identity.ChangePassword, "Change your password", problems=[429])
expose(people, "POST /users/me/deactivation", identity.DeactivateUser, "Close your account", problems=[404])
expose(people, "GET /sessions", identity.ListSessions, "List your sessions")
expose(people, "DELETE /sessions", identity.EndSessions, "Log out everywhere", operation="end_all_sessions")
expose(people, "DELETE /sessions/{session_id}", identity.EndSessions, "Log out")
expose(people, "GET /factors", identity.ListFactors, "List your second factor")
expose(people, "POST /factors", identity.EnrollFactor, "Set up a second factor", status=201, problems=[404, 409])
expose(
    people,
    "POST /factors/{factor_id}/confirmation",
    identity.ConfirmFactor,
    "Turn a second factor on",
    problems=[429],
)
expose(people, "DELETE /factors/{factor_id}", identity.RemoveFactor, "Remove a second factor")
expose(people, "GET /api-tokens", identity.ListApiTokens, "List your API tokens")
expose(people, "POST /api-tokens", identity.CreateApiToken, "Make an API token", status=201, problems=[409])
expose(people, "DELETE /api-tokens/{token_id}", identity.RevokeApiToken, "Revoke an API token")

expose(administration, "GET /admin/users", identity.ListUsers, "List accounts")
expose(
    administration,
    "POST /admin/users",
    identity.CreateUser,
    "Invite somebody",
    status=201,
    problems=[409],
    without=["password"],
)
expose(
    administration,
    "PATCH /admin/users/{user_id}",
    identity.ChangeUser,
    "Lock or change an account",
    problems=[409],
)
expose(administration, "DELETE /admin/users/{user_id}/tokens", identity.RevokeTokens, "Log somebody out")
expose(
    administration,
    "DELETE /admin/tokens",
    identity.RevokeTokens,
    "Log everybody out",
    operation="revoke_all_tokens",
)
