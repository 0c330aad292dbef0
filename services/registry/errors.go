package registry

import (
	"fmt"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/aftertouch-io/aftertouch/internal/registry"
)

// Reasons of refusal, beside those of keys. They are part of the API.
const (
	reasonInvalid         = "invalid_argument"
	reasonNotFound        = "not_found"
	reasonAlreadyExists   = "already_exists"
	reasonVersionConflict = "version_conflict"
	reasonCampaignFixed   = "campaign_fixed"
	reasonUnavailable     = "unavailable"
)

func failure(code codes.Code, reason, detail string, meta map[string]string, more ...protoadapt.MessageV1) error {
	s := status.New(code, reason+": "+detail)
	details := append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: "aftertouch", Metadata: meta}}, more...)
	if detailed, err := s.WithDetails(details...); err == nil {
		s = detailed
	}
	return s.Err()
}

func unavailable(detail string) error {
	return failure(codes.Unavailable, reasonUnavailable, detail, nil)
}

func notFound(kind registry.Kind, id string) error {
	return failure(codes.NotFound, reasonNotFound, fmt.Sprintf("there is no %s %q in this workspace", kind, id), map[string]string{"kind": string(kind), "id": id})
}

func alreadyExists(kind registry.Kind, id string) error {
	return failure(codes.AlreadyExists, reasonAlreadyExists, fmt.Sprintf("there is a %s %q already", kind, id), map[string]string{"kind": string(kind), "id": id})
}

// versionConflict becomes HTTP 409, as DESIGN D9 has it.
func versionConflict(kind registry.Kind, id string, present uint32) error {
	return failure(codes.Aborted, reasonVersionConflict, fmt.Sprintf("the present version of %s %q is %d: read it and replace that one", kind, id, present),
		map[string]string{"kind": string(kind), "id": id, "present_version": strconv.FormatUint(uint64(present), 10)})
}

func campaignFixed(id string) error {
	return failure(codes.FailedPrecondition, reasonCampaignFixed,
		fmt.Sprintf("campaign %q has an agreement: only its name can be changed; make a new campaign for other terms", id), map[string]string{"id": id})
}

func invalid(field, detail string) error {
	var c check
	c.fail(field, detail)
	return c.err()
}
