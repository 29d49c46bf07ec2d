#pragma once
// The services around models, as the routes use them. Made by the application.
namespace assistiv::inference {
class CatalogueService;
class ConfigService;
class InferenceService;
class PlatformTargets;
class ResponseService;
}  // namespace assistiv::inference

namespace assistiv::api {

// Everything outlives the routes.
struct ModelGateway {
  inference::InferenceService& service;
  inference::ResponseService& responses;
  inference::PlatformTargets& targets;
  inference::ConfigService& configs;
  inference::CatalogueService& catalogue;
};

}  // namespace assistiv::api
