package registry

import (
	"context"

	"github.com/aftertouch-io/aftertouch/internal/apijson"
	"github.com/aftertouch-io/aftertouch/internal/event"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// AuthorizeGRPC returns the key of a call's metadata "authorization: Bearer <key>" when it has the scopes. Otherwise it fails
// with a status that bears the reason: UNAUTHENTICATED for unknown_key and revoked_key, PERMISSION_DENIED for wrong_scope.
// Calls that came through the HTTP gateway have the same metadata.
func (v *View) AuthorizeGRPC(ctx context.Context, need Scope) (*Key, error) {
	var token string
	for _, header := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		if token = BearerToken(header); token != "" {
			break
		}
	}
	k, reason := v.Authenticate(token)
	if reason == "" {
		reason = k.CheckScope(need)
	}
	if reason != "" {
		return nil, AuthError(reason)
	}
	return k, nil
}

// AuthError returns the gRPC error of a reason of Authenticate, CheckScope or CheckOrigin.
func AuthError(reason event.Reason) error {
	switch reason {
	case event.UnknownKey:
		return apijson.StatusError(codes.Unauthenticated, string(reason), "the key is missing or not known: send it as Authorization: Bearer KEY")
	case event.RevokedKey:
		return apijson.StatusError(codes.Unauthenticated, string(reason), "the key was revoked")
	case event.OriginRefused:
		return apijson.StatusError(codes.PermissionDenied, string(reason), "the key is not for pages of this origin: add it to the key's origins")
	default:
		return apijson.StatusError(codes.PermissionDenied, string(reason), "the key lacks the scope that this call needs")
	}
}
